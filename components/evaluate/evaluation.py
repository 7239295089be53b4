"""The work of the evaluate step, in its order: predict, measure, hold against the champion, bless, tell."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from components import registry
from components.estimator import saved
from components.estimator.classes import AgeClasses
from components.evaluate import metrics, plots, predictions, report
from components.evaluate.blessing import objections
from components.evaluate.settings import EvaluateSettings, Settings
from components.registry import ModelVersion
from components.step import StepContext
from schemas.error import VisageError
from schemas.record import TEST, TRAIN
from schemas.shard import read_index

log = logging.getLogger("visage.evaluate")

METRICS = "metrics.json"
PREDICTIONS = "predictions.parquet"
REPORT = "report.html"


@dataclass(frozen=True)
class Champion:
    """The champion, on the same faces.

    Attributes:
        version: in the registry.
        classes: of age that it tells; None where it tells years.
        faces: what it says of them.
    """

    version: ModelVersion
    classes: AgeClasses | None
    faces: pd.DataFrame


def evaluate(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Evaluate the estimator; the figures for the manifest.

    Raises:
        VisageError: there is nothing to measure on, a shard or the estimator cannot be read, the registry does not answer,
            or the model was not blessed and the settings require it.
    """
    asked, folder = settings.evaluate, context.inputs["ingest"]
    index = read_index(folder)
    shards = index.get(TEST, [])
    version = context.champion
    read = _progress(context, sum(shard.examples for shard in shards) * (2 if version else 1))

    estimator = saved.load(context.inputs["train"] / "estimator")
    classes = estimator.classes
    faces = predictions.predict(estimator, folder, shards, read)
    predictions.write(context.output / PREDICTIONS, faces)
    champion = None
    if version:
        rival = _rival(version)
        champion = Champion(version, rival.classes, predictions.predict(rival, folder, shards, read))

    baseline = metrics.Baseline.of(index.get(TRAIN, []), classes)
    measured = _measure(faces, classes, baseline, champion, asked)
    reasons = objections(measured, measured["slices"], measured["champion"], asked.blessing)
    measured |= {"blessed": not reasons, "reasons": reasons}
    (context.output / METRICS).write_text(json.dumps(measured, indent=1, allow_nan=False) + "\n")

    plots.draw(context.output, faces)
    if asked.worst_faces and plots.draw_worst(
        context.output, faces, predictions.examples(folder, shards), asked.worst_faces
    ):
        log.info("the largest errors are on %s", plots.WORST)
    report.write(context.output / REPORT, measured, context.output)

    _track(context, measured)
    for reason in reasons:
        log.warning("not blessed: %s", reason)
    if reasons and asked.require_blessing:
        raise VisageError(
            "The model is not blessed:\n" + "\n".join(f"- {reason}" for reason in reasons),
            f"Train a better one, or lower what evaluate.blessing asks for. Report: {context.output / REPORT}",
        )
    return _counts(measured)


def _measure(
    faces: pd.DataFrame,
    classes: AgeClasses | None,
    baseline: metrics.Baseline,
    champion: Champion | None,
    asked: EvaluateSettings,
) -> dict[str, Any]:
    return {
        "examples": len(faces),
        "persons": int(faces["person"].nunique()),
        "without_prediction": int(faces["predicted_age"].isna().sum()),
        **metrics.figures(faces),
        **metrics.intervals(faces, asked.resamples, asked.seed),
        **metrics.baseline_figures(faces, baseline),
        "baseline_age": baseline.age,
        "baseline_age_class": baseline.age_class,
        "baseline_gender": baseline.gender,
        "bootstrap": {"resamples": asked.resamples, "seed": asked.seed, "unit": "person", "interval": 0.95},
        "slices": metrics.slices(faces),
        "age_classes": list(classes.names) if classes else None,
        "age_class_confusion": metrics.confusion(faces, classes) if classes else None,
        "champion": None
        if champion is None
        else {
            "name": champion.version.name,
            "version": champion.version.version,
            "age_classes": list(champion.classes.names) if champion.classes else None,
            **metrics.figures(champion.faces),
            **metrics.differences(faces, champion.faces, asked.resamples, asked.seed),
        },
    }


def _rival(version: ModelVersion) -> saved.Estimator:
    try:
        return saved.load(registry.download(version) / "estimator")
    except VisageError as error:
        raise VisageError(
            f"The champion {version} cannot be used: {error.message}",
            f"Make another version champion: `visage models promote {version.name}/VERSION`.",
        ) from error


def _progress(context: StepContext, total: int) -> Callable[[int], None]:
    done = 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        context.tracker.progress(done, total, "faces")

    return read


def _track(context: StepContext, measured: Mapping[str, Any]) -> None:
    for held in measured["slices"]:
        for name in ("age_mae", "gender_accuracy"):
            if held[name] is not None:
                context.tracker.metric(f"{held['slice']}/{held['value']}/{name}", held[name])


def _counts(measured: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: value for name, value in measured.items() if isinstance(value, int | float | bool)}
    champion = measured["champion"]
    return figures | {
        "compared_with": f"{champion['name']}/{champion['version']}" if champion else "no champion",
        "reasons": measured["reasons"],
    }
