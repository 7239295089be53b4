"""Figures of merit: what they mean stands with each of them. A figure that nothing can be said about is None."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from components.estimator.classes import AgeClasses
from schemas.record import FEMALE
from schemas.shard import Shard

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Baseline:
    """What can be said without looking at the face.

    Attributes:
        age: median age of the training split, years; the constant with the smallest mean absolute error there.
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
    ages, classes, genders = (faces[label].dropna() for label in ("age", "age_class", "gender"))
    right_class = None if baseline.age_class is None else (classes == baseline.age_class).to_numpy()
    return {
        "baseline_age_mae": None if baseline.age is None else _mean((ages - baseline.age).abs().to_numpy()),
        "baseline_age_class_accuracy": None if right_class is None else _mean(right_class),
        "baseline_gender_accuracy": None if baseline.gender is None else _mean((genders == baseline.gender).to_numpy()),
    }


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


def intervals(faces: pd.DataFrame, resamples: int, seed: int) -> Figures:
    """95 % percentile intervals of age MAE and gender accuracy.

    Photos of one person resemble each other, so whole persons are drawn, not photos (the cluster bootstrap: Field and Welsh,
    "Bootstrapping clustered data", JRSS B 2007).
    """
    found: Figures = {}
    for name, values in _errors(faces).items():
        low, high = _bootstrap(values, faces["person"], resamples, seed)
        found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def differences(faces: pd.DataFrame, champion: pd.DataFrame, resamples: int, seed: int) -> Figures:
    """95 % intervals of this model's figure minus the champion's, on the same faces, drawn in pairs; as `intervals`."""
    found: Figures = {}
    theirs = _errors(champion)
    for name, values in _errors(faces).items():
        low, high = _bootstrap(values - theirs[name], faces["person"], resamples, seed)
        found |= {f"{name}_difference_low": low, f"{name}_difference_high": high}
    return found


def roc(faces: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve of gender: share of men and share of women called women, over all thresholds."""
    held = faces[faces["gender"].notna() & faces["predicted_female"].notna()].sort_values(
        "predicted_female", ascending=False
    )
    female = (held["gender"] == FEMALE).to_numpy()
    ends = np.append(np.diff(held["predicted_female"].to_numpy()) != 0, True)  # equal scores fall together
    true, false = np.cumsum(female)[ends], np.cumsum(~female)[ends]
    return np.append(0, false / max((~female).sum(), 1)), np.append(0, true / max(female.sum(), 1))


def _errors(faces: pd.DataFrame) -> Mapping[str, pd.Series]:
    """What `age_mae` and `gender_accuracy` are the means of; NaN where it is not known."""
    right = (faces["predicted_gender"] == faces["gender"]).astype(float)
    return {
        "age_mae": (faces["predicted_age"] - faces["age"]).abs().astype(float),
        "gender_accuracy": right.where(faces["gender"].notna() & faces["predicted_female"].notna()),
    }


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
    count = int(positive.sum())
    others = len(positive) - count
    if not count or not others:
        return None
    return float((rankdata(scores)[positive].sum() - count * (count + 1) / 2) / (count * others))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
