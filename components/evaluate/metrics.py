"""Figures of merit: what they mean stands with each of them. A figure that nothing can be said about is None.

A figure is worked out under weights, one a face: under ones it is the figure itself, under the weights of a resample what
that resample says. So whatever can be measured has an interval too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from components.estimator.classes import AgeClasses
from schemas.record import FEMALE, GENDERS

Figures = dict[str, float | None]
Weighted = Callable[[np.ndarray], np.ndarray]
"""From weights [R, N], a number a face in each of R resamples, to the figure [R]; NaN where it is not defined."""

LOWER_IS_BETTER = {"age_mae": True, "age_class_accuracy": False, "gender_accuracy": False}
"""The figures that decide about a model: means over faces, for each of which there is a baseline."""

CONFIDENCE_BINS = 10
"""Of the expected calibration error, from a confidence of one half to one."""


@dataclass(frozen=True)
class Figure:
    """A figure of merit.

    Attributes:
        name: its key everywhere.
        title: for people.
        unit: of its values; `share` from 0 to 1.
        best: which values are better: `lower`, `higher`, or nearer to a number.
        needs: columns of the predictions without which a face does not count.
        of: from the faces that count to the figure under weights.
        hits: for a share of faces: from the faces that count to whether each is among it; else None.
    """

    name: str
    title: str
    unit: Literal["years", "share", "nats", ""]
    best: Literal["lower", "higher"] | float
    needs: tuple[str, ...]
    of: Callable[[pd.DataFrame], Weighted]
    hits: Callable[[pd.DataFrame], np.ndarray] | None = None

    def known(self, faces: pd.DataFrame) -> np.ndarray:
        """Which faces count, bool [N]."""
        return faces[list(self.needs)].notna().all(axis=1).to_numpy()


def _mean(values: np.ndarray) -> Weighted:
    def mean(weights: np.ndarray) -> np.ndarray:
        return ratio(_sums(weights, values), weights.sum(axis=1))

    return mean


def _sums(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weighted sums of a value a face, in the precision of the weights: to widen those of many resamples takes longer."""
    return weights @ values.astype(weights.dtype)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A quotient that is NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _errors(faces: pd.DataFrame) -> np.ndarray:
    return faces["predicted_age"].to_numpy(np.float64) - faces["age"].to_numpy(np.float64)


def _median_error(faces: pd.DataFrame) -> Weighted:
    errors = np.abs(_errors(faces))
    order = np.argsort(errors)
    errors = errors[order]

    def median(weights: np.ndarray) -> np.ndarray:
        if not len(errors):
            return np.full(len(weights), np.nan)
        below = np.cumsum(weights[:, order], axis=1)
        half = below[:, -1:] / 2
        # Of an even number of faces the mean of the two in the middle, as everywhere.
        last = len(errors) - 1
        first, second = (errors[np.minimum(reached.argmax(axis=1), last)] for reached in (below >= half, below > half))
        return np.where(half[:, 0] > 0, (first + second) / 2, np.nan)

    return median


def _right_gender(faces: pd.DataFrame) -> np.ndarray:
    return (faces["predicted_gender"] == faces["gender"]).to_numpy()


def _balanced_accuracy(faces: pd.DataFrame) -> Weighted:
    right, genders = _right_gender(faces), faces["gender"].to_numpy()
    recalls = [(genders == gender, (genders == gender) & right) for gender in GENDERS]

    def balanced(weights: np.ndarray) -> np.ndarray:
        return np.mean(
            [ratio(_sums(weights, correct), _sums(weights, of_gender)) for of_gender, correct in recalls], axis=0
        )

    return balanced


def _auc(faces: pd.DataFrame) -> Weighted:
    """The chance that a woman's probability is above a man's, ties counting half; over all pairs, by the ranks."""
    scores = faces["predicted_female"].to_numpy()
    order = np.argsort(scores, kind="stable")
    female = (faces["gender"] == FEMALE).to_numpy()[order]
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0]) if len(scores) else np.empty(0, int)

    def area(weights: np.ndarray) -> np.ndarray:
        if not len(starts):
            return np.full(len(weights), np.nan)
        ordered = weights[:, order]
        women = np.add.reduceat(ordered * female, starts, axis=1)
        men = np.add.reduceat(ordered * ~female, starts, axis=1)
        below = np.cumsum(men, axis=1) - men
        pairs = women.sum(axis=1) * men.sum(axis=1)
        return ratio((women * (below + men / 2)).sum(axis=1), pairs)

    return area


def _calibration_error(faces: pd.DataFrame) -> Weighted:
    female = faces["predicted_female"].to_numpy(np.float64)
    confidence = np.maximum(female, 1 - female)
    gap = _right_gender(faces) - confidence
    bins = np.clip(((confidence - 0.5) * 2 * CONFIDENCE_BINS).astype(int), 0, CONFIDENCE_BINS - 1)
    gaps = np.zeros((len(gap), CONFIDENCE_BINS))
    gaps[np.arange(len(gap)), bins] = gap

    def error(weights: np.ndarray) -> np.ndarray:
        return ratio(np.abs(_sums(weights, gaps)).sum(axis=1), weights.sum(axis=1))

    return error


def _macro_f1(faces: pd.DataFrame) -> Weighted:
    true, predicted = faces["age_class"].to_numpy(), faces["predicted_age_class"].to_numpy()
    classes = [
        ((true == name) & (predicted == name), 1.0 * (true == name) + (predicted == name))
        for name in sorted({*true, *predicted})
    ]

    def f1(weights: np.ndarray) -> np.ndarray:
        if not classes:
            return np.full(len(weights), np.nan)
        scores = np.array([ratio(2 * _sums(weights, right), _sums(weights, either)) for right, either in classes])
        return ratio(np.nansum(scores, axis=0), (~np.isnan(scores)).sum(axis=0))

    return f1


def _share(
    name: str, title: str, needs: tuple[str, ...], hits: Callable[[pd.DataFrame], np.ndarray], best: float | None = None
) -> Figure:
    return Figure(
        name,
        title,
        "share",
        "higher" if best is None else best,
        needs,
        lambda faces: _mean(hits(faces)),
        hits,
    )


def _inside(faces: pd.DataFrame) -> np.ndarray:
    return faces["age"].between(faces["predicted_age_low"], faces["predicted_age_high"]).to_numpy()


_AGE = ("age", "predicted_age")
_INTERVAL = ("age", "predicted_age_low", "predicted_age_high")
_CLASS = ("age_class", "predicted_age_class")
_GENDER = ("gender", "predicted_gender")
_PROBABILITY = ("gender", "predicted_female")

FIGURES: tuple[Figure, ...] = (
    # Mean absolute error.
    Figure("age_mae", "age: mean absolute error", "years", "lower", _AGE, lambda faces: _mean(np.abs(_errors(faces)))),
    Figure("age_median_error", "age: median absolute error", "years", "lower", _AGE, _median_error),
    # Cumulative scores: Geng, Zhou and Smith-Miles, "Automatic Age Estimation Based on Facial Aging Patterns", TPAMI 2007.
    _share("age_cs3", "age: share within 3 years", _AGE, lambda faces: np.abs(_errors(faces)) <= 3),
    _share("age_cs5", "age: share within 5 years", _AGE, lambda faces: np.abs(_errors(faces)) <= 5),
    _share("age_cs10", "age: share within 10 years", _AGE, lambda faces: np.abs(_errors(faces)) <= 10),
    Figure("age_bias", "age: mean of predicted minus true", "years", 0.0, _AGE, lambda faces: _mean(_errors(faces))),
    # Minus the logarithm of the probability that was given to the true age in whole years: a proper score (Gneiting and
    # Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 2007).
    Figure(
        "age_nll",
        "age: negative log-likelihood",
        "nats",
        "lower",
        ("age_log_probability",),
        lambda faces: _mean(-faces["age_log_probability"].to_numpy(np.float64)),
    ),
    _share("age_interval_coverage", "age: share within the 90 % interval", _INTERVAL, _inside, best=0.9),
    Figure(
        "age_interval_width",
        "age: mean width of the 90 % interval",
        "years",
        "lower",
        _INTERVAL,
        lambda faces: _mean((faces["predicted_age_high"] - faces["predicted_age_low"]).to_numpy(np.float64)),
    ),
    _share(
        "age_class_accuracy",
        "age class: share right",
        _CLASS,
        lambda faces: (faces["age_class"] == faces["predicted_age_class"]).to_numpy(),
    ),
    # The mean over the classes of 2 TP / (2 TP + FP + FN): rare classes count as much as frequent ones.
    Figure("age_class_macro_f1", "age class: macro F1", "", "higher", _CLASS, _macro_f1),
    _share("gender_accuracy", "gender: share right", _GENDER, _right_gender),
    # The mean of the shares of women and of men told right: Brodersen et al., ICPR 2010.
    Figure("gender_balanced_accuracy", "gender: balanced accuracy", "share", "higher", _GENDER, _balanced_accuracy),
    # Hanley and McNeil, Radiology 1982.
    Figure("gender_auc", "gender: area under the ROC curve", "", "higher", _PROBABILITY, _auc),
    # How far the share of right genders is from the mean confidence, over bins of confidence: Guo et al., ICML 2017. Few faces
    # make it larger than it is.
    Figure("gender_ece", "gender: expected calibration error", "share", "lower", _PROBABILITY, _calibration_error),
)
"""All figures, in the order of tables."""

BY_NAME = {figure.name: figure for figure in FIGURES}

DECIDING = tuple(BY_NAME[name] for name in LOWER_IS_BETTER)


def figures(faces: pd.DataFrame) -> Figures:
    """How good the predictions are, see `FIGURES`.

    Args:
        faces: predictions, as `predictions.predict` gives them. Faces with an unknown label count for the other one only.
    """
    return {figure.name: value_of(figure, faces) for figure in FIGURES}


def value_of(figure: Figure, faces: pd.DataFrame) -> float | None:
    """One figure; None where no face counts or it is not defined."""
    counted = faces[figure.known(faces)]
    value = float(figure.of(counted)(np.ones((1, len(counted))))[0]) if len(counted) else np.nan
    return None if np.isnan(value) else value


def confusion(faces: pd.DataFrame, classes: AgeClasses) -> list[list[int]]:
    """Number of faces by true age class (row) and predicted one (column), in the order of the classes."""
    counts = pd.crosstab(faces["age_class"], faces["predicted_age_class"])
    return counts.reindex(index=classes.names, columns=classes.names, fill_value=0).to_numpy().tolist()


def roc(faces: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve of gender: share of men and share of women called women, over all thresholds."""
    from sklearn.metrics import roc_curve

    gendered = faces[faces["gender"].notna() & faces["predicted_female"].notna()]
    false, true, _ = roc_curve(gendered["gender"] == FEMALE, gendered["predicted_female"], drop_intermediate=False)
    return false, true
