"""The work of the validate step, in its order: describe, hold against the schema, compare, tell."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0.schema_pb2 import Schema

from components import registry
from components.report import surround
from components.step import StepContext
from components.validate import report, split_statistics
from components.validate.anomalies import Anomaly, anomalies_of
from components.validate.comparison import Comparison, Reference, compare
from components.validate.reviewed_schema import DRIFT, SKEW, allowed, load_schema
from components.validate.settings import Settings
from components.validate.split_statistics import Description
from schemas.error import VisageError
from schemas.record import SPLITS, TRAIN
from schemas.shard import Shard, read_index

log = logging.getLogger("visage.validate")

REPORT = "report.html"
ANOMALIES = "anomalies.json"

_SENTENCES_SHOWN = 10


def validate(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Validate the examples; the figures for the manifest.

    Raises:
        VisageError: the schema or the examples cannot be read, or there are anomalies and the settings make them fatal.
    """
    folder, index = context.inputs["ingest"], read_index(context.inputs["ingest"])
    schema = load_schema(settings.validation.schema_file)
    reference = _reference(settings, context)
    descriptions = _describe(folder, index, schema, context)
    for split, description in descriptions.items():
        path = context.output / "statistics" / f"{split}.pb"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(description.statistics.SerializeToString(deterministic=True))

    anomalies = [
        anomaly
        for split, description in descriptions.items()
        for anomaly in anomalies_of(split, description, schema, folder, index.get(split, []))
    ]
    comparisons = _compare(descriptions, reference, schema, settings.validation.min_examples)
    anomalies += [comparison.anomaly() for comparison in comparisons if comparison.exceeded]

    _write_anomalies(context.output / ANOMALIES, descriptions, anomalies, comparisons)
    around = surround.of_step("validate", settings, context)
    report.write(context.output / REPORT, descriptions, anomalies, comparisons, reference, around)
    _judge(settings, anomalies, context.place_of(REPORT))
    return _counts(descriptions, anomalies, comparisons, reference)


def _describe(
    folder: Path, index: Mapping[str, list[Shard]], schema: Schema, context: StepContext
) -> dict[str, Description]:
    total = sum(shard.examples for shards in index.values() for shard in shards)
    examples_read = 0

    def read(count: int) -> None:
        nonlocal examples_read
        examples_read += count
        context.tracker.progress(examples_read, total, "examples")

    splits = dict.fromkeys([*SPLITS, *index])
    return {split: split_statistics.describe(folder, index.get(split, []), schema, read) for split in splits}


def _reference(settings: Settings, context: StepContext) -> Reference | None:
    """The file that the settings name, or what the champion was trained on; None where there is neither."""
    path = settings.validation.reference
    if path:
        return Reference(str(path), split_statistics.load(path.expanduser()))
    champion = context.champion
    if champion is None:
        return None
    statistics_file = registry.download(champion) / "statistics" / f"{TRAIN}.pb"
    if not statistics_file.is_file():
        log.warning("the champion %s came without statistics of its training data: no look for drift", champion)
        return None
    return Reference(str(champion), split_statistics.load(statistics_file))


def _compare(
    descriptions: Mapping[str, Description], reference: Reference | None, schema: Schema, min_examples: int
) -> list[Comparison]:
    skew, train = allowed(schema, SKEW), descriptions[TRAIN].statistics
    comparisons = [
        comparison
        for split, description in descriptions.items()
        if split != TRAIN
        for comparison in compare(SKEW, split, description.statistics, TRAIN, train, skew, min_examples)
    ]
    if reference:
        control = reference.statistics
        comparisons += compare(DRIFT, TRAIN, train, reference.name, control, allowed(schema, DRIFT), min_examples)
    return comparisons


def _write_anomalies(
    path: Path, descriptions: Mapping[str, Description], anomalies: list[Anomaly], comparisons: list[Comparison]
) -> None:
    content = {
        "examples": {split: description.examples for split, description in descriptions.items()},
        "without_labels": {split: description.without_labels for split, description in descriptions.items()},
        "anomalies": [asdict(anomaly) for anomaly in anomalies],
        "comparisons": [asdict(comparison) for comparison in comparisons],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def _judge(settings: Settings, anomalies: list[Anomaly], report_place: str) -> None:
    validation = settings.validation
    verdicts = {"schema": validation.on_anomaly, SKEW: validation.on_skew, DRIFT: validation.on_drift}
    fatal = [anomaly.message for anomaly in anomalies if verdicts[anomaly.kind] == "fail"]
    for anomaly in anomalies:
        log.warning("%s", anomaly.message)
    if not fatal:
        return
    lines = [f"- {message}" for message in fatal[:_SENTENCES_SHOWN]]
    if len(fatal) > len(lines):
        lines.append(f"- and {len(fatal) - len(lines)} more")
    named = {"schema": "on_anomaly", SKEW: "on_skew", DRIFT: "on_drift"}
    kinds = dict.fromkeys(anomaly.kind for anomaly in anomalies if verdicts[anomaly.kind] == "fail")
    switches = ", ".join(f"validation.{named[kind]}=warn" for kind in kinds)
    raise VisageError(
        "The examples are not as they should be:\n" + "\n".join(lines),
        f"Mend the source or its settings. To go on all the same: --set {switches}. Report: {report_place}",
    )


def _counts(
    descriptions: Mapping[str, Description],
    anomalies: list[Anomaly],
    comparisons: list[Comparison],
    reference: Reference | None,
) -> dict[str, Any]:
    drift = {
        f"drift_{comparison.feature.partition('/')[2]}": round(comparison.distance, 4)
        for comparison in comparisons
        if comparison.kind == DRIFT and comparison.distance is not None
    }
    return {
        "examples": sum(description.examples for description in descriptions.values()),
        "without_labels": sum(description.without_labels for description in descriptions.values()),
        "anomalies": len(anomalies),
        "warnings": [anomaly.message for anomaly in anomalies],
        "compared_with": reference.name if reference else "no champion",
        **drift,
    }
