"""How far the people who were scored are from those the model learned from, by TensorFlow Data Validation.

The scored side has the model's answers, the other the labels: a model that draws everyone towards the middle shows as drift
of age too, and that is worth a warning as well.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import tensorflow_data_validation as tfdv
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList, FeatureNameStatistics

from components.drift import distances
from components.drift.distances import MEASURES, SIGNIFICANCE, Distance
from components.score.settings import ScoreSettings
from schemas.error import VisageError

AGE, GENDER = "face/age", "face/gender"
FEWEST = 100
"""Faces below which a distance says little, and is not measured."""


@dataclass(frozen=True)
class Drift:
    """The distance between scored faces and training data in one feature.

    Attributes:
        feature: of the Example.
        measure: Jensen-Shannon divergence for ages, L-infinity distance for genders.
        distance: 0 (the same) to 1.
        chance: how often chance alone would part two samples of one population as far.
        threshold: the largest that is not warned of.
        scored: figures of the scored faces.
        training: figures of the training data.
    """

    feature: str
    measure: str
    distance: float
    chance: float
    threshold: float
    scored: str
    training: str

    @property
    def exceeded(self) -> bool:
        """Whether the distance is beyond its threshold, and no work of chance."""
        return Distance(self.distance, self.chance).exceeds(self.threshold)

    def __str__(self) -> str:
        name = {AGE: "ages", GENDER: "genders"}[self.feature]
        return (
            f"The scored {name} part from the training data: {self.measure} {self.distance:.3f}, more than "
            f"{self.threshold:g}, by chance in fewer than {SIGNIFICANCE:.0%} of all cases ({self.scored}; in training "
            f"{self.training})."
        )


def measure(faces: pd.DataFrame, training: Path, settings: ScoreSettings) -> list[Drift]:
    """Hold scored faces against the statistics of the training split.

    Args:
        faces: columns `age` (years) and `gender`.
        training: `statistics/train.pb` of the model.
        settings: the thresholds.

    Returns:
        One entry for age and one for gender, where both sides know them; nothing for fewer than `FEWEST` faces.

    Raises:
        VisageError: the statistics cannot be read.
    """
    if len(faces) < FEWEST:
        return []
    try:
        control = DatasetFeatureStatisticsList.FromString(training.read_bytes())
    except (OSError, DecodeError) as error:
        raise VisageError(
            f"The training statistics {training} cannot be read: {error}", "Register the model anew."
        ) from error
    table = pd.DataFrame({AGE: faces["age"].round().astype("int64")})
    if faces["gender"].notna().any():
        table[GENDER] = faces["gender"]
    scored = tfdv.generate_statistics_from_dataframe(table)
    thresholds = {AGE: settings.drift_age, GENDER: settings.drift_gender}
    features = [name for name in thresholds if _feature(scored, name) and _feature(control, name)]
    by_feature = distances.measure(scored, control, {name: MEASURES[name] for name in features})
    return [
        Drift(
            name,
            MEASURES[name],
            by_feature[name].value,
            by_feature[name].chance,
            thresholds[name],
            _text(scored, name),
            _text(control, name),
        )
        for name in features
        if name in by_feature
    ]


def _feature(statistics: DatasetFeatureStatisticsList, name: str) -> FeatureNameStatistics | None:
    for feature in statistics.datasets[0].features:
        if (feature.name or ".".join(feature.path.step)) == name:
            return feature if feature.WhichOneof("stats") == ("num_stats" if name == AGE else "string_stats") else None
    return None


def _text(statistics: DatasetFeatureStatisticsList, name: str) -> str:
    feature = _feature(statistics, name)
    if feature is None:
        return "unknown"
    if name == AGE:
        return f"mean {feature.num_stats.mean:.1f}, median {feature.num_stats.median:.0f} years"
    counts = {bucket.label: bucket.sample_count for bucket in feature.string_stats.rank_histogram.buckets}
    total = sum(counts.values()) or 1
    return ", ".join(f"{label} {count / total:.0%}" for label, count in sorted(counts.items()))
