"""Balancing: labels that are rare may count for more."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from components.estimator import losses
from components.train.settings import Settings
from schemas.record import FEMALE, MALE

if TYPE_CHECKING:
    from components.train.dataset import Split

SMOOTHED = 2.0
"""Deviation of the Gaussian, years, by which the ages lend their neighbours some of their frequency."""


def example_weights(settings: Settings, split: "Split") -> losses.Weights:
    """What an example counts by its age class and by its gender; nothing where all count alike.

    A label that makes up a share p of the examples counts p ** -balance. Single years are smoothed first, since an age with
    few examples but many neighbours is no rarity (Yang et al., "Delving into deep imbalanced regression", ICML 2021).
    """
    age, balance = settings.estimator.age, settings.train.balance
    if not balance:
        return {}
    counts = np.zeros(len(age.starts) + 1)
    for year, count in split.ages.items():
        counts[np.searchsorted(age.starts, year, side="right")] += count
    for name, count in split.age_classes.items():
        if name in age.classes:
            counts[age.classes.index(name)] += count
    if not age.edges:
        years = np.arange(len(counts))
        near = np.exp(-((years[:, None] - years) ** 2) / (2 * SMOOTHED**2))
        counts = near @ counts / near.sum(axis=1)
    genders = np.array([split.genders[MALE], split.genders[FEMALE]], float)
    counts_by_label: Mapping[str, np.ndarray] = {"age_class": counts, "female": genders}
    return {label: _weights(count, balance) for label, count in counts_by_label.items()}


def _weights(counts: np.ndarray, balance: float) -> np.ndarray:
    """Weights whose mean over the examples is 1; a label without examples weighs as the rarest that has some."""
    present = counts[counts > 0]
    if not present.size:
        return np.ones(len(counts), np.float32)
    weights = np.maximum(counts, present.min()) ** -balance
    return (weights * counts.sum() / (weights * counts).sum()).astype(np.float32)
