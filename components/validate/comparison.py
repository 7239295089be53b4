"""Skew and drift: how far two sets of examples are from each other in what the estimator learns.

Which features are compared, by which of TFDV's distances, and how far apart they may be is said in the reviewed schema
(https://www.tensorflow.org/tfx/data_validation/get_started#checking_data_skew_and_drift).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

from components.drift import distances
from components.drift.distances import AGE, SIGNIFICANCE
from components.validate.anomalies import Anomaly
from components.validate.reviewed_schema import Allowed
from components.validate.split_statistics import common, feature, shares


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
        chance: how often chance alone would part two samples of one population as far; None where they were not compared.
        threshold: the largest distance that passes.
        detail: figures of both sides, or why they were not compared.
    """

    kind: str
    split: str
    other: str
    feature: str
    measure: str
    distance: float | None
    chance: float | None
    threshold: float
    detail: str

    @property
    def exceeded(self) -> bool:
        """Whether the distance is beyond its threshold, and no work of chance."""
        if self.distance is None or self.chance is None:
            return False
        return distances.Distance(self.distance, self.chance).exceeds(self.threshold)

    @property
    def verdict(self) -> str:
        """In a word or two, for a table."""
        if self.distance is None:
            return "–"
        if self.exceeded:
            return "beyond"
        return "within" if self.distance <= self.threshold else "may be chance"

    def anomaly(self) -> Anomaly:
        """The comparison as an anomaly; sensible where the distance is exceeded."""
        message = (
            f"{self.split}, {self.feature}: unlike {self.other}, {self.measure} {self.distance:.3f}, allowed "
            f"{self.threshold:g}, by chance in fewer than {SIGNIFICANCE:.0%} of all cases ({self.detail})."
        )
        return Anomaly(self.kind, self.split, self.feature, f"COMPARATOR_{self.kind.upper()}", message)


def compare(
    kind: str,
    split: str,
    statistics: DatasetFeatureStatisticsList,
    other: str,
    control: DatasetFeatureStatisticsList,
    allowed: Mapping[str, Allowed],
    min_examples: int,
) -> list[Comparison]:
    """Hold the features of some examples against those of others.

    Args:
        kind: `skew` or `drift`.
        split: name of what is compared.
        statistics: of it.
        other: name of what it is compared with.
        control: its statistics.
        allowed: the largest distances that pass, by feature.
        min_examples: with the feature, that both sides need.
    """
    counts = {
        name: tuple(_present(side_statistics, name, comparator.numbers) for side_statistics in (statistics, control))
        for name, comparator in allowed.items()
    }
    compared = [name for name, present in counts.items() if min(present) >= min_examples]
    measured = distances.measure(statistics, control, {name: allowed[name].measure for name in compared})
    comparisons = []
    for name, comparator in allowed.items():
        count, control_count = counts[name]
        if name in compared:
            detail = f"{_figures(statistics, name)} in {split}; {_figures(control, name)} in {other}"
        elif count or control_count:
            detail = f"not compared: {count:,} labels in {split}, {control_count:,} in {other}, {min_examples:,} needed in both"
        else:
            continue
        distance = measured.get(name)
        value, chance = (distance.value, distance.chance) if distance else (None, None)
        comparisons.append(
            Comparison(kind, split, other, name, comparator.measure, value, chance, comparator.threshold, detail)
        )
    return comparisons


def _present(statistics: DatasetFeatureStatisticsList, name: str, numbers: bool) -> int:
    """Number of examples that have a feature as the schema wants it, as numbers or as words."""
    feature_statistics = feature(statistics, name)
    kind = "num_stats" if numbers else "string_stats"
    right_type = feature_statistics and feature_statistics.WhichOneof("stats") == kind
    return int(common(feature_statistics).num_non_missing) if feature_statistics and right_type else 0


def _figures(statistics: DatasetFeatureStatisticsList, name: str) -> str:
    feature_statistics = feature(statistics, name)
    assert feature_statistics is not None, name
    if feature_statistics.WhichOneof("stats") == "num_stats":
        unit = " years" if name == AGE else ""
        return (
            f"mean {feature_statistics.num_stats.mean:.1f}, deviation {feature_statistics.num_stats.std_dev:.1f}{unit}"
        )
    return ", ".join(f"{share:.1%} {value}" for value, share in sorted(shares(feature_statistics).items()))
