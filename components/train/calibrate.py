"""Calibrates a trained model on faces that it did not learn from, and keeps of each correction what helps.

A correction is fitted to four fifths of the faces and tried on the last, five times; it is kept, fitted to all, where that
made the figure better that it is for. README.md says what is fitted and why.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.estimator import backend
from components.estimator.calibration import AGES, Calibration, IntervalLimits, sharpened, standard_errors
from components.estimator.distribution import AgeDistribution
from components.estimator.heads import AgeBins

log = logging.getLogger("visage.train")

MIN_FACES = 200
"""With fewer faces of known label nothing is fitted: what folds of them tell is chance."""

LEVEL = 0.9
"""Share of true ages that the interval is meant to hold."""

_FOLDS = 5
_BANDWIDTH = _SMOOTH = 0.7
"""Years, of the Gaussians by which ages near one count for it. Two years gave small children the limits of older ones, and
a coverage 3 points too high."""

_MIN_NEAR = 60
_MIN_DECADE = 20
_WIDEST = 60.0


@dataclass(frozen=True)
class CalibrationSet:
    """A network's outputs for N faces, without any correction, and the labels of these.

    Attributes:
        outputs: as `components.estimator.heads.probabilities` describes them.
        ages: years, NaN where unknown.
        female: 1 or 0, NaN where unknown.
    """

    outputs: Mapping[str, np.ndarray]
    ages: np.ndarray
    female: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence["CalibrationSet"]) -> "CalibrationSet":
        """Several as one."""
        outputs = {name: np.concatenate([part.outputs[name] for part in parts]) for name in parts[0].outputs}
        return cls(
            outputs, np.concatenate([part.ages for part in parts]), np.concatenate([part.female for part in parts])
        )


def predict(network: Any, batches: Iterable[Any]) -> CalibrationSet:
    """The outputs of a saved network for batches of images, with their labels."""
    run, parts = backend.forward(network), []
    for images, labels in batches:
        outputs = {name: np.asarray(value) for name, value in run(images).items()}
        age, female = (np.asarray(labels[name]).astype(float) for name in ("age", "female"))
        parts.append(CalibrationSet(outputs, age, female))
    return CalibrationSet.joined(parts)


def fit(calibration_set: CalibrationSet, age_bins: AgeBins) -> Calibration:
    """The corrections that help, fitted to these faces."""
    measured: dict[str, Any] = {}
    aged, gendered = ~np.isnan(calibration_set.ages), ~np.isnan(calibration_set.female)
    age, ages = calibration_set.outputs["age"][aged], calibration_set.ages[aged]
    age_temperature, gender_temperature, limits = 1.0, 1.0, None
    if len(age_bins.centres) and len(ages) >= MIN_FACES:
        age_temperature, measured["age_temperature"] = _age_temperature(age, ages, age_bins)
        age = sharpened(age, age_temperature)
    if len(ages) >= MIN_FACES:
        limits, measured["interval"] = _interval_limits(AgeDistribution.of(age, age_bins), ages)
    if "female" in calibration_set.outputs and gendered.sum() >= MIN_FACES:
        female = calibration_set.outputs["female"][gendered, 0].astype(np.float64)
        gender_temperature, measured["gender_temperature"] = _gender_temperature(
            female, calibration_set.female[gendered]
        )
    for name, figures in measured.items():
        log.info("calibration, %s: %s", name.replace("_", " "), "kept" if figures["kept"] else "left out")
    return Calibration(age_temperature, gender_temperature, limits, measured)


def _age_temperature(shares: np.ndarray, ages: np.ndarray, age_bins: AgeBins) -> tuple[float, dict[str, Any]]:
    def distribution(temperature: float, rows: np.ndarray) -> AgeDistribution:
        return AgeDistribution.of(sharpened(shares[rows], temperature), age_bins)

    def nll(temperature: float, rows: np.ndarray) -> float:
        return -float(distribution(temperature, rows).log_probability(ages[rows]).mean())

    def mae(temperature: float, rows: np.ndarray) -> float:
        return float(np.abs(distribution(temperature, rows).mean - ages[rows]).mean())

    return _temperature(len(ages), {"nll": nll, "age_mae": mae})


def _gender_temperature(female: np.ndarray, truth: np.ndarray) -> tuple[float, dict[str, Any]]:
    both = np.stack([1 - female, female], axis=1)

    def nll(temperature: float, rows: np.ndarray) -> float:
        right = sharpened(both[rows], temperature)[np.arange(len(rows)), truth[rows].astype(int)]
        return -float(np.log(np.maximum(right, 1e-12)).mean())

    return _temperature(len(truth), {"nll": nll})


def _temperature(
    faces: int, figures: Mapping[str, Callable[[float, np.ndarray], float]]
) -> tuple[float, dict[str, Any]]:
    """The temperature with the smallest of the first figure; 1 where, on folds, that or another of them is not made smaller."""
    from scipy.optimize import minimize_scalar

    first = next(iter(figures.values()))

    def best(rows: np.ndarray) -> float:
        return float(np.exp(minimize_scalar(lambda log_t: first(np.exp(log_t), rows), bounds=(-1.5, 1.5)).x))

    rows = [(best(others), held_out) for others, held_out in _folds(faces)]
    after, before = (
        {
            name: sum(
                figure(temperature if fitted else 1.0, held_out) * len(held_out) for temperature, held_out in rows
            )
            / faces
            for name, figure in figures.items()
        }
        for fitted in (True, False)
    )
    improves = all(after[name] <= before[name] for name in figures) and after != before
    return best(np.arange(faces)) if improves else 1.0, {
        "kept": improves,
        "before": before,
        "after": after,
        "faces": faces,
    }


def _interval_limits(distribution: AgeDistribution, ages: np.ndarray) -> tuple[IntervalLimits | None, dict[str, Any]]:
    mean, std = distribution.mean, distribution.std
    before = np.stack([distribution.percentile((1 - LEVEL) / 2), distribution.percentile((1 + LEVEL) / 2)])
    after = np.empty_like(before)
    for others, held_out in _folds(len(ages)):
        limits = interval_limits(ages[others], mean[others], std[others])
        after[:, held_out] = limits.interval(mean[held_out], std[held_out])
    misses = {name: _miss_by_decade(ages, *ends) for name, ends in (("before", before), ("after", after))}
    improves = misses["after"] < misses["before"]
    figures = {
        name: {"coverage_miss_by_decade": misses[name], "width": float((ends[1] - ends[0]).mean())}
        for name, ends in (("before", before), ("after", after))
    }
    return interval_limits(ages, mean, std) if improves else None, {"kept": improves, **figures, "faces": len(ages)}


def interval_limits(ages: np.ndarray, mean: np.ndarray, std: np.ndarray) -> IntervalLimits:
    """Within which limits the errors of nine in ten faces of every age lie.

    Of the errors of the faces of about an age, those of nearer ages count for more (a Gaussian, widened where there are few
    faces); the limits are smoothed over the ages, so that an interval has no holes.
    """
    errors = standard_errors(ages, mean, std)
    order = np.argsort(errors)
    errors, ages = errors[order], ages[order]
    low, high = np.empty(len(AGES)), np.empty(len(AGES))
    for number, age in enumerate(AGES):
        share = np.cumsum(_weights(ages, age))
        low[number], high[number] = (
            errors[min(np.searchsorted(share, end * share[-1]), len(errors) - 1)]
            for end in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        )
    near = np.exp(-0.5 * ((AGES[:, None] - AGES[None, :]) / _SMOOTH) ** 2)
    near /= near.sum(axis=1, keepdims=True)
    return IntervalLimits(tuple(map(float, near @ low)), tuple(map(float, near @ high)))


def _weights(ages: np.ndarray, age: float) -> np.ndarray:
    """How much each face counts for an age; together as much as `_MIN_NEAR` faces (Kish's effective number) or more."""
    bandwidth = _BANDWIDTH
    while True:
        weights = np.exp(-0.5 * ((ages - age) / bandwidth) ** 2)
        total = weights.sum()
        if bandwidth > _WIDEST or (total > 0 and total**2 / (weights**2).sum() >= _MIN_NEAR):
            return weights
        bandwidth *= 1.2


def _miss_by_decade(ages: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """By how much the share of ages within their interval misses `LEVEL`, mean over the decades with faces enough."""
    inside, decades = (low <= ages) & (ages <= high), np.minimum(ages // 10, 9)
    shares = [inside[decades == one].mean() for one in range(10) if (decades == one).sum() >= _MIN_DECADE]
    return float(np.abs(np.array(shares) - LEVEL).mean()) if shares else 0.0


def _folds(faces: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows to fit to and the rows to try on, five times."""
    numbers = np.random.default_rng(0).permutation(faces) % _FOLDS
    for fold in range(_FOLDS):
        yield np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
