"""TFDV's distances between two sets of labels, each with a test of significance beside it.

A distance alone warns of small samples, for a few people differ from any others. So it is asked as well how often chance would
part two samples of one population as far. People are counted, not photos: three photos of each of 60 persons tell of 60 ages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0.schema_pb2 import BYTES, FLOAT, INT, Feature, Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    DatasetFeatureStatisticsList,
    FeatureNameStatistics,
    Histogram,
)

AGE, PERSON = "face/age", "person/id"

JENSEN_SHANNON, L_INFINITY = "Jensen-Shannon divergence", "L-infinity distance"

MEASURES = {AGE: JENSEN_SHANNON, "face/age_class": L_INFINITY, "face/gender": L_INFINITY}
"""How labels are compared where no schema says it (https://www.tensorflow.org/tfx/data_validation/get_started)."""

SIGNIFICANCE = 0.01
"""A distance counts only where chance alone would give one as large less often than this."""

_TYPES = {
    FeatureNameStatistics.INT: INT,
    FeatureNameStatistics.FLOAT: FLOAT,
    FeatureNameStatistics.STRING: BYTES,
    FeatureNameStatistics.BYTES: BYTES,
}

_DRAWS = 4000
_SEED = 17


@dataclass(frozen=True)
class Distance:
    """Of one feature.

    Attributes:
        value: 0 (the same) to 1 (nothing in common).
        chance: how often two samples of as many people of one population differ by as much or more.
    """

    value: float
    chance: float

    def exceeds(self, threshold: float) -> bool:
        """Whether it is beyond a threshold, and no work of chance."""
        return self.value > threshold and self.chance < SIGNIFICANCE


def measure(
    statistics: DatasetFeatureStatisticsList, control: DatasetFeatureStatisticsList, measures: Mapping[str, str]
) -> dict[str, Distance]:
    """The distance of each of some features, which both sides have, by name.

    Args:
        statistics: of one side.
        control: of the other.
        measures: by feature, `JENSEN_SHANNON` or, for words, `L_INFINITY`.

    Where a side does not say who its people are, it is taken to have as many photos of each as the other.
    """
    schema = Schema()
    for name, measure in measures.items():
        feature = Feature(name=name, type=_TYPES[_feature(statistics, name).type])
        # TFDV measures only where there is a threshold; callers apply theirs to what it measures.
        if measure == L_INFINITY:
            feature.drift_comparator.infinity_norm.threshold = 1
        else:
            feature.drift_comparator.jensen_shannon_divergence.threshold = 1
        schema.feature.append(feature)
    anomalies = tfdv.validate_statistics(statistics, schema, previous_statistics=control)
    values = {info.path.step[0]: info.drift_measurements[0].value for info in anomalies.drift_skew_info}
    photos = _photos_a_person(statistics), _photos_a_person(control)
    here, there = photos[0] or photos[1] or 1, photos[1] or photos[0] or 1
    measured = {}
    for name, value in values.items():
        one, other = _counts(_feature(statistics, name), _feature(control, name))
        people = [count / here for count in one], [count / there for count in other]
        measured[name] = Distance(value, chance(*people))
    return measured


def _photos_a_person(statistics: DatasetFeatureStatisticsList) -> float:
    """How many photos there are of a person; 0 where that is not known."""
    for feature in statistics.datasets[0].features:
        if (feature.name or ".".join(feature.path.step)) == PERSON and feature.string_stats.unique:
            return feature.string_stats.common_stats.num_non_missing / feature.string_stats.unique
    return 0


def chance(here: Sequence[float], there: Sequence[float]) -> float:
    """How often two samples of one population differ by as much as these or more: 1 for the same, near 0 for a real difference.

    A permutation test on Pearson's statistic for homogeneity: both samples are drawn again and again from what they are
    together. It holds for rare values too, where the table of chi-squared does not.

    Args:
        here: number of each value in one sample.
        there: in the other, in the same order.
    """
    counts = np.rint(np.array([here, there], float)).astype(np.int64)
    counts = counts[:, counts.sum(axis=0) > 0]
    sizes, pooled = counts.sum(axis=1), counts.sum(axis=0)
    if min(sizes) == 0 or len(pooled) < 2:
        return 1.0
    drawn = np.random.default_rng(_SEED).multivariate_hypergeometric(pooled, int(sizes[0]), _DRAWS, method="marginals")
    expected = pooled * (sizes[0] / sizes.sum())
    # With both margins fixed, the other sample's part is in proportion to this one's.
    differing = (((drawn - expected) ** 2) / expected).sum(axis=1)
    observed = (((counts[0] - expected) ** 2) / expected).sum()
    return float((1 + (differing >= observed - 1e-9).sum()) / (1 + _DRAWS))


def _feature(statistics: DatasetFeatureStatisticsList, name: str) -> FeatureNameStatistics:
    return next(
        feature for feature in statistics.datasets[0].features if (feature.name or ".".join(feature.path.step)) == name
    )


def _counts(here: FeatureNameStatistics, there: FeatureNameStatistics) -> tuple[list[float], list[float]]:
    """Numbers of the same values, or of values within the same ten bins."""
    if here.WhichOneof("stats") == "num_stats":
        one, other = here.num_stats.histograms[0], there.num_stats.histograms[0]
        ends = [bucket for histogram in (one, other) for bucket in histogram.buckets]
        low, high = min(bucket.low_value for bucket in ends), max(bucket.high_value for bucket in ends)
        edges = np.linspace(low, max(high, low + 1), 11)
        return _rebinned(one, edges), _rebinned(other, edges)
    both = [
        {bucket.label: bucket.sample_count for bucket in side.string_stats.rank_histogram.buckets}
        for side in (here, there)
    ]
    values = sorted(set().union(*both))
    return [both[0].get(value, 0) for value in values], [both[1].get(value, 0) for value in values]


def _rebinned(histogram: Histogram, edges: np.ndarray) -> list[float]:
    """Counts within other bins; within a bucket the values are taken to lie evenly, as TFDV does."""
    below = np.zeros(len(edges))
    for bucket in histogram.buckets:
        width = max(bucket.high_value - bucket.low_value, 1e-9)
        below += bucket.sample_count * np.clip((edges - bucket.low_value) / width, 0, 1)
    counts = np.diff(below)
    counts[0] += below[0]
    return [float(count) for count in counts]
