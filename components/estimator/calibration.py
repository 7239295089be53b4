"""What a trained model's outputs are corrected by, so that its probabilities and its intervals are what they say.

Temperatures (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) make a distribution wider or narrower. The
90 % interval is made by conformal prediction (Angelopoulos and Bates, "A Gentle Introduction to Conformal Prediction", 2021)
that is conditional on the age itself, as theirs is on a class: of every age it is known within which limits the errors of
nine in ten faces of about that age lie, and the interval of a face is made of all ages for which its estimate lies within
them. So the face of an old person, whose age models tend to under-estimate, is covered as often as one of thirty years.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from schemas.record import MAX_AGE

AGES = np.arange(MAX_AGE + 1)
"""The ages whose limits are known, years."""

_STEP = 0.25
"""Between two ages that are tried for an interval, years."""

_SMALLEST_STD = 0.1
"""Years; a model that claims to be surer than this is not believed."""


@dataclass(frozen=True)
class IntervalLimits:
    """Between which errors nine in ten faces of every age lie; see `standard_errors`.

    Attributes:
        low: the lower limit for each of `AGES`.
        high: the upper one.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def interval(self, mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both ends of the 90 % interval of N faces, years; the expected age is always within it."""
        tried = np.arange(AGES[0], AGES[-1] + _STEP / 2, _STEP)
        errors = standard_errors(tried[None, :], mean[:, None], std[:, None])
        within_limits = (errors >= np.interp(tried, AGES, self.low)) & (errors <= np.interp(tried, AGES, self.high))
        some = within_limits.any(axis=1)
        low = np.where(some, tried[within_limits.argmax(axis=1)], mean)
        high = np.where(some, tried[len(tried) - 1 - within_limits[:, ::-1].argmax(axis=1)], mean)
        return np.minimum(low, mean), np.maximum(high, mean)


@dataclass(frozen=True)
class Calibration:
    """The corrections of one model; as it is made here there are none.

    Attributes:
        age_temperature: above 1 the age distribution is wider than the model's own, below 1 narrower.
        gender_temperature: the same of gender; above 1 probabilities are nearer to one half.
        limits: of the 90 % interval; None where it is that of the distribution.
        measured: what each correction brought on the faces that it was fitted without, by its name: figures before and after.
    """

    age_temperature: float = 1.0
    gender_temperature: float = 1.0
    limits: IntervalLimits | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)

    def probabilities(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of a saved model, see `heads.probabilities`, at these temperatures."""
        calibrated = dict(outputs)
        if self.age_temperature != 1 and calibrated["age"].shape[1] > 1:
            calibrated["age"] = sharpened(calibrated["age"], self.age_temperature)
        if self.gender_temperature != 1 and "female" in calibrated:
            female = calibrated["female"]
            calibrated["female"] = sharpened(np.concatenate([female, 1 - female], axis=1), self.gender_temperature)[
                :, :1
            ]
        return calibrated

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def of_json(cls, data: Mapping[str, Any] | None) -> Self:
        """The opposite; None, as of a model that was saved without, is no correction.

        Raises:
            KeyError, TypeError, ValueError: it is not what `as_json` gives.
        """
        if data is None:
            return cls()
        limits = data["limits"]
        if limits is not None:
            limits = IntervalLimits(*(tuple(map(float, limits[end])) for end in ("low", "high")))
            if not len(limits.low) == len(limits.high) == len(AGES):
                raise ValueError(f"the interval needs limits for {len(AGES)} ages")
        return cls(float(data["age_temperature"]), float(data["gender_temperature"]), limits, data["measured"])


def sharpened(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities [N, classes] at a temperature: what the softmax would give of the logits divided by it."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30)) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def standard_errors(ages: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """True minus expected age, by the square root of the standard deviation that the model told.

    Between years, which take no notice of how sure the model is, and standard deviations, which believe it all: of the three
    this one gave the narrowest intervals of the same coverage.
    """
    return (ages - mean) / np.sqrt(np.maximum(std, _SMALLEST_STD))
