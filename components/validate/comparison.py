"""Skew and drift: how far two sets of examples are from each other in what the estimator learns.

The distances are TFDV's: Jensen-Shannon divergence for ages, L-infinity for words
(https://www.tensorflow.org/tfx/data_validation/get_started#checking_data_skew_and_drift).
"""

from dataclasses import dataclass

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0.schema_pb2 import BYTES, INT, Feature, Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

from components.validate.anomalies import Anomaly
from components.validate.settings import Distances
from components.validate.split_statistics import common, feature, shares

MEASURES = {
    "face/age": "Jensen-Shannon divergence",
    "face/age_class": "L-infinity distance",
    "face/gender": "L-infinity distance",
}
"""The compared features and how."""


@dataclass(frozen=True)
class Reference:
    """Statistics of the data that the champion was trained on.

    Attributes:
        name: of where they are from, for people.
        statistics: of its training split.
    """

    name: str
    statistics: DatasetFeatureStatisticsList


@dataclass(frozen=True)
class Comparison:
    """How far apart two sets of examples are in one feature.

    Attributes:
        kind: `skew` or `drift`.
        split: what is compared.
        other: what it is compared with: `train`, or the champion's name and version.
        feature: of the Example.
        measure: the kind of distance.
        distance: 0 (the same) to 1; None where they were not compared.
        threshold: the largest that passes.
        detail: figures of both sides, or why they were not compared.
    """

    kind: str
    split: str
    other: str
    feature: str
    measure: str
    distance: float | None
    threshold: float
    detail: str

    @property
    def exceeded(self) -> bool:
        return self.distance is not None and self.distance > self.threshold

    def anomaly(self) -> Anomaly:
        """The comparison as an anomaly; sensible where the distance is exceeded."""
        message = (
            f"{self.split}, {self.feature}: unlike {self.other}, {self.measure} {self.distance:.3f}, allowed "
            f"{self.threshold:g} ({self.detail})."
        )
        return Anomaly(self.kind, self.split, self.feature, f"COMPARATOR_{self.kind.upper()}", message)


def compare(
    kind: str,
    split: str,
    statistics: DatasetFeatureStatisticsList,
    other: str,
    control: DatasetFeatureStatisticsList,
    allowed: Distances,
    min_examples: int,
) -> list[Comparison]:
    """Hold the labels of some examples against those of others.

    Args:
        kind: `skew` or `drift`.
        split: name of what is compared.
        statistics: of it.
        other: name of what it is compared with.
        control: its statistics.
        allowed: the largest distances that pass.
        min_examples: labels that both sides need.
    """
    thresholds = {"face/age": allowed.age, "face/age_class": allowed.age_class, "face/gender": allowed.gender}
    counts = {name: (_labels(statistics, name), _labels(control, name)) for name in thresholds}
    compared = [name for name, held in counts.items() if min(held) >= min_examples]
    distances = _distances(statistics, control, compared)
    comparisons = []
    for name, threshold in thresholds.items():
        here, there = counts[name]
        if name in compared:
            detail = f"{_figures(statistics, name)} in {split}; {_figures(control, name)} in {other}"
        elif here or there:
            detail = f"not compared: {here:,} labels in {split}, {there:,} in {other}, {min_examples:,} needed in both"
        else:
            continue
        distance = distances[name] if name in compared else None
        comparisons.append(Comparison(kind, split, other, name, MEASURES[name], distance, threshold, detail))
    return comparisons


def _distances(
    statistics: DatasetFeatureStatisticsList, control: DatasetFeatureStatisticsList, names: list[str]
) -> dict[str, float]:
    schema = Schema()
    for name in names:
        wanted = Feature(name=name, type=INT if name == "face/age" else BYTES)
        # TFDV measures only where there is a threshold.
        if MEASURES[name] == "L-infinity distance":
            wanted.drift_comparator.infinity_norm.threshold = 1
        else:
            wanted.drift_comparator.jensen_shannon_divergence.threshold = 1
        schema.feature.append(wanted)
    found = tfdv.validate_statistics(statistics, schema, previous_statistics=control)
    return {info.path.step[0]: info.drift_measurements[0].value for info in found.drift_skew_info}


def _labels(statistics: DatasetFeatureStatisticsList, name: str) -> int:
    held = feature(statistics, name)
    right_type = held and held.WhichOneof("stats") == ("num_stats" if name == "face/age" else "string_stats")
    return int(common(held).num_non_missing) if held and right_type else 0


def _figures(statistics: DatasetFeatureStatisticsList, name: str) -> str:
    held = feature(statistics, name)
    assert held is not None, name
    if name == "face/age":
        return f"mean {held.num_stats.mean:.1f}, deviation {held.num_stats.std_dev:.1f} years"
    return ", ".join(f"{share:.1%} {value}" for value, share in sorted(shares(held).items()))
