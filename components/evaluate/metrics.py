"""Figures of merit: what they mean stands with each of them. A figure that nothing can be said about is None."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from components.estimator.classes import AgeClasses
from schemas.record import FEMALE
from schemas.shard import Shard

Figures = dict[str, float | None]
Scores = Mapping[str, pd.Series]
"""By figure, what it is the mean of: a number a face, NaN where it is not known."""

LOWER_IS_BETTER = {"age_mae": True, "age_class_accuracy": False, "gender_accuracy": False}
"""The figures that decide about a model: means over faces, for each of which there is a baseline."""


@dataclass(frozen=True)
class Baseline:
    """What can be said without looking at the face: the same of everyone.

    Attributes:
        age: median age of a split, years; the constant with the smallest mean absolute error there.
        age_class: its most frequent age class; None where the estimator has no classes.
        gender: its more frequent gender.
    """

    age: float | None
    age_class: str | None
    gender: str | None

    @classmethod
    def of(cls, shards: Sequence[Shard], classes: AgeClasses | None) -> Self:
        """From the index of the training split's shards."""
        ages, genders = Counter[int](), Counter[str]()
        for shard in shards:
            ages.update(shard.ages)
            genders.update(shard.genders)
        age = float(np.median(np.repeat(list(ages), list(ages.values())))) if ages else None
        gender = max(genders, key=lambda gender: genders[gender]) if genders else None
        return cls(age, classes.most_frequent(shards) if classes else None, gender)

    @classmethod
    def in_hindsight(cls, faces: pd.DataFrame, classes: AgeClasses | None) -> Self:
        """The constants that are right most often on the test faces themselves.

        No model can be told to say them, but one that says the same of every face may happen to: it must not pass for one that
        looks. Of genders this is the no-information rate (Kuhn, "Building Predictive Models in R Using the caret Package",
        Journal of Statistical Software 2008).
        """
        ages, age_classes, genders = (faces[label].dropna() for label in ("age", "age_class", "gender"))
        return cls(
            float(ages.median()) if len(ages) else None,
            str(age_classes.mode()[0]) if classes and len(age_classes) else None,
            str(genders.mode()[0]) if len(genders) else None,
        )

    def scores(self, faces: pd.DataFrame) -> Scores:
        """As the function `scores`, for these constants."""
        return {
            "age_mae": (faces["age"] - (np.nan if self.age is None else self.age)).abs().astype(float),
            "age_class_accuracy": _right(faces["age_class"], self.age_class),
            "gender_accuracy": _right(faces["gender"], self.gender),
        }


def figures(faces: pd.DataFrame) -> Figures:
    """How good the predictions are.

    age_mae: mean absolute error, years.
    age_cs5: cumulative score, the share of faces whose error is at most 5 years (Geng, Zhou and Smith-Miles, "Automatic Age
        Estimation Based on Facial Aging Patterns", TPAMI 2007).
    age_bias: mean of predicted minus true age, years.
    age_interval_coverage: share of true ages within the 90 % interval; 0.9 if the interval is honest.
    age_class_accuracy: share of age classes told right, for an estimator that has classes.
    gender_accuracy: share of genders told right, at a probability of one half.
    gender_auc: area under the ROC curve, the chance that a woman gets a higher probability of being one than a man does
        (Hanley and McNeil, Radiology 1982).

    Args:
        faces: predictions, as `predictions.predict` gives them. Faces with an unknown label count for the other one only.
    """
    aged = faces[faces["age"].notna() & faces["predicted_age"].notna()]
    error = (aged["predicted_age"] - aged["age"]).to_numpy(np.float64)
    inside = (aged["predicted_age_low"] <= aged["age"]) & (aged["age"] <= aged["predicted_age_high"])
    gendered = faces[faces["gender"].notna() & faces["predicted_female"].notna()]
    right = gendered["predicted_gender"] == gendered["gender"]
    classed = faces[faces["age_class"].notna() & faces["predicted_age_class"].notna()]
    right_class = classed["predicted_age_class"] == classed["age_class"]
    return {
        "age_mae": _mean(np.abs(error)),
        "age_cs5": _mean(np.abs(error) <= 5),
        "age_bias": _mean(error),
        "age_interval_coverage": _mean(inside.to_numpy()),
        "age_class_accuracy": _mean(right_class.to_numpy()),
        "gender_accuracy": _mean(right.to_numpy()),
        "gender_auc": _auc(gendered["predicted_female"].to_numpy(), (gendered["gender"] == FEMALE).to_numpy()),
    }


def baseline_figures(faces: pd.DataFrame, baseline: Baseline) -> Figures:
    """The baseline's figures on the same faces."""
    return {f"baseline_{name}": _mean(values.dropna().to_numpy()) for name, values in baseline.scores(faces).items()}


def confusion(faces: pd.DataFrame, classes: AgeClasses) -> list[list[int]]:
    """Number of faces by true age class (row) and predicted one (column), in the order of the classes."""
    counts = pd.crosstab(faces["age_class"], faces["predicted_age_class"])
    return counts.reindex(index=classes.names, columns=classes.names, fill_value=0).to_numpy().tolist()


def slices(faces: pd.DataFrame) -> list[dict[str, Any]]:
    """The figures by gender, by decade of age and by age class, of those that there are."""
    found = []
    for name, column in (("gender", "gender"), ("age", "age_decade"), ("age_class", "age_class")):
        for value, held in faces.groupby(column):  # faces with an unknown label are in no slice of it
            found.append({"slice": name, "value": str(value), "examples": len(held), **figures(held)})
    return found


def scores(faces: pd.DataFrame) -> Scores:
    """What the figures of `LOWER_IS_BETTER` are the means of: errors in years, and 1 or 0 for right or wrong."""
    return {
        "age_mae": (faces["predicted_age"] - faces["age"]).abs().astype(float),
        "age_class_accuracy": _right(faces["age_class"], faces["predicted_age_class"]),
        "gender_accuracy": _right(faces["gender"], faces["predicted_gender"]),
    }


def intervals(faces: pd.DataFrame, resamples: int, seed: int) -> Figures:
    """95 % percentile intervals of the figures of `LOWER_IS_BETTER`.

    Photos of one person resemble each other, so whole persons are drawn, not photos (the cluster bootstrap: Field and Welsh,
    "Bootstrapping clustered data", JRSS B 2007).
    """
    found: Figures = {}
    for name, values in scores(faces).items():
        low, high = _bootstrap(values, faces["person"], resamples, seed)
        found |= {f"{name}_low": low, f"{name}_high": high}
    return found


class Difference(NamedTuple):
    """A figure of one model minus that of another, on the same faces.

    Attributes:
        value: the difference; None where no face has both.
        low: lower end of its 95 % interval; None with fewer than two persons.
        high: upper end.
        faces: number of faces that both have the figure for.
        persons: number of their persons.
    """

    value: float | None
    low: float | None
    high: float | None
    faces: int
    persons: int


def differences(ours: Scores, theirs: Scores, persons: pd.Series, resamples: int, seed: int) -> dict[str, Difference]:
    """Ours minus theirs, by figure. Drawn in pairs, so that faces which are hard for both do not widen the interval."""
    found = {}
    for name, values in ours.items():
        paired = (values - theirs[name]).dropna()
        low, high = _bootstrap(paired, persons[paired.index], resamples, seed)
        found[name] = Difference(_mean(paired.to_numpy()), low, high, len(paired), persons[paired.index].nunique())
    return found


def roc(faces: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve of gender: share of men and share of women called women, over all thresholds."""
    from sklearn.metrics import roc_curve

    held = faces[faces["gender"].notna() & faces["predicted_female"].notna()]
    false, true, _ = roc_curve(held["gender"] == FEMALE, held["predicted_female"], drop_intermediate=False)
    return false, true


def _right(labels: pd.Series, said: pd.Series | str | None) -> pd.Series:
    """1.0 where the label was said, 0.0 where another was, NaN where either is unknown."""
    if not isinstance(said, pd.Series):
        said = pd.Series(said, index=labels.index, dtype=object)
    return (labels == said).astype(float).where(labels.notna() & said.notna())


def _bootstrap(values: pd.Series, persons: pd.Series, resamples: int, seed: int) -> tuple[float | None, float | None]:
    known = values.notna()
    grouped = values[known].groupby(persons[known])
    sums, counts = grouped.sum().to_numpy(), grouped.count().to_numpy()
    if len(sums) < 2:
        return None, None
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(sums), size=len(sums)) for _ in range(resamples))
    means = [sums[drawn].sum() / counts[drawn].sum() for drawn in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _auc(scores: np.ndarray, positive: np.ndarray) -> float | None:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, scores)) if 0 < positive.sum() < len(positive) else None


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
