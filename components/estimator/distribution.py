"""The age distributions that an estimator tells: how much of each lies below an age, and what it says of whole years."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np

from components.estimator.heads import AgeBins

SMALLEST_PROBABILITY = 1e-6
"""A year counts as no less likely than this: one face that was thought impossible must not decide a mean logarithm."""


_NORMAL = NormalDist()


@dataclass(frozen=True)
class AgeDistribution:
    """The age distributions of N faces.

    Within a class ages count as equally likely; the errors of a regression count as normal.

    Attributes:
        shares: probability of each age class, float64 [N, classes]; [N, 1], the age in years, for a regression.
        age_bins: what they mean.
    """

    shares: np.ndarray
    age_bins: AgeBins

    @classmethod
    def of(cls, age: np.ndarray, age_bins: AgeBins) -> Self:
        """From the age output of a saved model."""
        shares = age.astype(np.float64)
        return cls(shares / shares.sum(axis=1, keepdims=True) if len(age_bins.centres) else shares, age_bins)

    def __len__(self) -> int:
        return len(self.shares)

    @property
    def mean(self) -> np.ndarray:
        """The expected age, years."""
        return self.shares @ self.age_bins.centres if len(self.age_bins.centres) else self.shares[:, 0]

    @property
    def std(self) -> np.ndarray:
        """Its standard deviation, years."""
        if not len(self.age_bins.centres):
            return np.full(len(self), self.age_bins.std)
        centres, widths = self.age_bins.centres, np.diff(self.age_bins.edges)
        spread = (centres[None, :] - self.mean[:, None]) ** 2 + widths[None, :] ** 2 / 12
        return np.sqrt((self.shares * spread).sum(axis=1))

    def below(self, age: np.ndarray | float) -> np.ndarray:
        """The probability of being younger than an age, or than one age a face, in years that go on without steps."""
        ages = np.broadcast_to(np.asarray(age, np.float64), (len(self),))
        if not len(self.age_bins.centres):
            return np.array([_NORMAL.cdf(z) for z in (ages - self.shares[:, 0]) / self.age_bins.std])
        edges = self.age_bins.edges.astype(np.float64)
        row = np.arange(len(self))
        class_index = np.clip(np.searchsorted(edges, ages, side="right") - 1, 0, self.shares.shape[1] - 1)
        before = np.cumsum(self.shares, axis=1)[row, class_index] - self.shares[row, class_index]
        within = np.clip((ages - edges[class_index]) / np.diff(edges)[class_index], 0, 1)
        return np.clip(before + self.shares[row, class_index] * within, 0, 1)

    def at_least(self, years: int) -> np.ndarray:
        """The probability that the age in whole years is this or more: a person of 18 years is from 17.5 up on this axis."""
        return 1 - self.below(years - 0.5)

    def log_probability(self, ages: np.ndarray) -> np.ndarray:
        """The logarithm of the probability of an age in whole years, one a face; NaN for NaN."""
        known = np.nan_to_num(ages)
        probability = self.below(known + 0.5) - self.below(known - 0.5)
        return np.where(np.isnan(ages), np.nan, np.log(np.maximum(probability, SMALLEST_PROBABILITY)))

    def percentile(self, share: float) -> np.ndarray:
        """The age below which a share of the probability lies, years."""
        if not len(self.age_bins.centres):
            return self.shares[:, 0] + _NORMAL.inv_cdf(share) * self.age_bins.std
        edges, above = self.age_bins.edges, np.cumsum(self.shares, axis=1)
        class_index = np.minimum((above < share).sum(axis=1), self.shares.shape[1] - 1)
        row = np.arange(len(self))
        inside = self.shares[row, class_index]
        within = (share - (above[row, class_index] - inside)) / np.maximum(inside, 1e-12)
        value = edges[class_index] + np.clip(within, 0, 1) * np.diff(edges)[class_index]
        return np.clip(value, edges[0] + 0.5, edges[-1] - 0.5)
