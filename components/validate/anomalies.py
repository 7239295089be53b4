"""Anomalies: where a split breaks the reviewed schema, in sentences that a person understands.

TFDV finds them in the statistics. Statistics do not say which examples are meant, so for the splits that have anomalies,
and only for those, the shards are read once more: to count, and to name some photos.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0.anomalies_pb2 import AnomalyInfo
from tensorflow_metadata.proto.v0.schema_pb2 import Feature, FeatureType, Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import FeatureNameStatistics

from components.validate.rules import RULES
from components.validate.split_statistics import Description, batches, feature
from schemas.shard import Shard

SCHEMA = "schema"

_PHOTOS_NAMED = 3
_VALUES_NAMED = 5


@dataclass(frozen=True)
class Anomaly:
    """Something about the data that should not be.

    Attributes:
        kind: `schema`: the split breaks the schema; `skew`: it is unlike train; `drift`: it is unlike the champion's data.
        split: where.
        feature: of the Example; empty if the split as a whole is meant.
        type: TFDV's name for what is wrong.
        message: the whole of it as a sentence.
        examples: how many are concerned; None where single examples are not to blame.
        photos: paths of a few of them.
    """

    kind: str
    split: str
    feature: str
    type: str
    message: str
    examples: int | None = None
    photos: tuple[str, ...] = ()


class _Reason(NamedTuple):
    feature: str
    type: str
    by_tfdv: str


class _Culprit(NamedTuple):
    photo: str
    values: list[Any]


def anomalies_of(
    split: str, description: Description, schema: Schema, folder: Path, shards: Sequence[Shard]
) -> list[Anomaly]:
    """All anomalies of one split.

    Args:
        split: its name.
        description: of the split.
        schema: the reviewed one.
        folder: of the examples artifact.
        shards: of the split.

    Raises:
        VisageError: a shard cannot be read.
    """
    if not description.examples:
        return [Anomaly(SCHEMA, split, "", "DATA_MISSING", f"{split} holds no examples.", 0)]
    anomalies = tfdv.validate_statistics(description.statistics, schema)
    reasons = [
        _Reason(name, AnomalyInfo.Type.Name(reason.type), reason.description.strip())
        for name, info in sorted(anomalies.anomaly_info.items())
        for reason in info.reason
    ]
    culprits = _culprits(reasons, schema, folder, shards) if reasons else {}
    return [
        _anomaly(split, reason, culprits.get(reason, []), schema, description)
        for reason in reasons
        # A shape is broken by absent values too, and those have a reason of their own.
        if reason.type != "INVALID_FEATURE_SHAPE" or culprits[reason]
    ]


def _culprits(
    reasons: Sequence[_Reason], schema: Schema, folder: Path, shards: Sequence[Shard]
) -> dict[_Reason, list[_Culprit]]:
    """The examples that each reason means."""
    searchable = [reason for reason in reasons if reason.type in RULES]
    culprits: dict[_Reason, list[_Culprit]] = defaultdict(list)
    for shard in shards:
        for batch in batches(folder, shard):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            absent = [None] * batch.num_rows
            paths = columns["photo/path"].to_pylist() if "photo/path" in columns else absent
            for reason in searchable:
                rule, expected = RULES[reason.type], _expected(schema, reason.feature)
                allowed_values = _allowed_values(schema, expected)
                rows = columns[reason.feature].to_pylist() if reason.feature in columns else absent
                culprits[reason] += [
                    _Culprit(_text(path[0]) if path else "(without a path)", [_text(value) for value in values or ()])
                    for path, values in zip(paths, rows, strict=True)
                    if rule.applies(values, expected, allowed_values)
                ]
    return culprits


def _anomaly(
    split: str, reason: _Reason, culprits: list[_Culprit], schema: Schema, description: Description
) -> Anomaly:
    subject = f"{split}, {reason.feature}"
    if not culprits:
        return Anomaly(SCHEMA, split, reason.feature, reason.type, f"{subject}: {reason.by_tfdv.rstrip('.')}.")
    expected, actual = _expected(schema, reason.feature), feature(description.statistics, reason.feature)
    values = dict.fromkeys(value for culprit in culprits for value in culprit.values)
    phrase = RULES[reason.type].phrase.format(
        low=expected.int_domain.min,
        high=expected.int_domain.max,
        allowed=" or ".join(_allowed_values(schema, expected)),
        found=", ".join(list(values)[:_VALUES_NAMED]) + (" ..." if len(values) > _VALUES_NAMED else ""),
        expected_type=FeatureType.Name(expected.type),
        actual_type=FeatureNameStatistics.Type.Name(actual.type) if actual else "",
    )
    photos = tuple(culprit.photo for culprit in culprits[:_PHOTOS_NAMED])
    named = f"{', '.join(photos)}{' ...' if len(culprits) > len(photos) else ''}"
    message = f"{subject}: {len(culprits):,} of {description.examples:,} examples {phrase} (photos: {named})."
    return Anomaly(SCHEMA, split, reason.feature, reason.type, message, len(culprits), photos)


def _expected(schema: Schema, name: str) -> Feature:
    return next((candidate for candidate in schema.feature if candidate.name == name), Feature(name=name))


def _allowed_values(schema: Schema, expected: Feature) -> list[str]:
    if expected.HasField("string_domain"):
        return list(expected.string_domain.value)
    return next((list(domain.value) for domain in schema.string_domain if domain.name == expected.domain), [])


def _text(value: Any) -> str:
    return value[:100].decode(errors="backslashreplace") if isinstance(value, bytes) else f"{value:g}"
