"""95 % intervals of figures and of their differences, by person.

Photos of one person resemble each other, so whole persons are drawn, not photos (the cluster bootstrap: Field and Welsh,
"Bootstrapping clustered data", JRSS B 2007). Persons are drawn from the whole test split, and a slice is looked at in each of the
draws, so that the number of its faces varies as it would. Shares have Wilson's interval at their effective number of faces
(Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts", Survey Methodology
1998): a bootstrap of a share of 100 % would say that there is no doubt.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from components.evaluate.metrics import FIGURES, Figure, Weighted, ratio

_AT_ONCE = 4_000_000
"""Weights of faces that are held at once."""

_NORMAL_975 = 1.959964

_MIN_DEFINED = 0.95
"""A figure that is not defined in more of the draws than the rest has no interval."""


class Interval(NamedTuple):
    """A 95 % interval.

    Attributes:
        low: its lower end; None with fewer than two persons.
        high: its upper end.
    """

    low: float | None
    high: float | None


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


@dataclass(frozen=True)
class Measured:
    """What is known of some faces.

    Attributes:
        values: the figures.
        intervals: of each figure.
        differences: ours minus theirs, by the other's name and the figure, on the faces that both tell.
    """

    values: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    differences: Mapping[str, Mapping[str, Difference]]


def measure(
    faces: pd.DataFrame,
    groups: Sequence[np.ndarray],
    others: Mapping[str, pd.DataFrame],
    resamples: int,
    seed: int,
    figures: Sequence[Figure] = FIGURES,
) -> list[Measured]:
    """The figures of groups of faces, with their intervals, and the differences to what others say of the same faces.

    Args:
        faces: predictions of the test split.
        groups: row numbers of the faces of each group.
        others: what others say of the same faces, in the same rows.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        figures: that are measured.
    """
    persons = pd.factorize(faces["person"])[0]
    tasks = [_tasks(faces, rows, others, figures) for rows in groups]
    draws: list[list[list[np.ndarray]]] = [[[] for _ in group_tasks] for group_tasks in tasks]
    for weights in _draws(persons, resamples, seed):
        for rows, group_tasks, group_draws in zip(groups, tasks, draws, strict=True):
            mine = weights[:, rows]
            for task, values in zip(group_tasks, group_draws, strict=True):
                values.append(task.of(mine if task.all_known else mine[:, task.known]))
    return [
        _measured(faces.iloc[rows], persons[rows], group_tasks, [np.concatenate(values) for values in group_draws])
        for rows, group_tasks, group_draws in zip(groups, tasks, draws, strict=True)
    ]


def differences(
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    resamples: int,
    seed: int,
    figures: Sequence[Figure] = FIGURES,
) -> Mapping[str, Difference]:
    """Ours minus theirs, by figure. Drawn in pairs, so that faces which are hard for both do not widen the interval."""
    (measured,) = measure(ours, [np.arange(len(ours))], {"theirs": theirs}, resamples, seed, figures)
    return measured.differences["theirs"]


@dataclass(frozen=True)
class Pairs:
    """Some faces, and whether each of them is among shares by one model and by another.

    Attributes:
        rows: numbers of the faces, [N].
        ours: bool [N, shares].
        theirs: bool [N, shares].
    """

    rows: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray


def share_differences(persons: np.ndarray, pairs: Sequence[Pairs], resamples: int, seed: int) -> list[list[Difference]]:
    """Ours minus theirs, for every share of every pair; drawn as those of `measure`, but many shares at once.

    Args:
        persons: number of the person of every face of the test split.
        pairs: what is compared.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    apart = [pair.ours.astype(np.float32) - pair.theirs for pair in pairs]
    draws: list[list[np.ndarray]] = [[] for _ in pairs]
    for weights in _draws(persons, resamples, seed) if pairs else ():
        for pair, gaps, pair_draws in zip(pairs, apart, draws, strict=True):
            mine = weights[:, pair.rows]
            pair_draws.append(ratio(mine @ gaps, mine.sum(axis=1, keepdims=True)))
    return [
        _share_differences(gaps, np.concatenate(pair_draws), persons[pair.rows])
        for pair, gaps, pair_draws in zip(pairs, apart, draws, strict=True)
    ]


def _share_differences(gaps: np.ndarray, resampled: np.ndarray, persons: np.ndarray) -> list[Difference]:
    values = [float(gap) for gap in gaps.mean(axis=0, dtype=np.float64)] if len(gaps) else [None] * gaps.shape[1]
    count = len(np.unique(persons))
    return [
        Difference(value, *_percentiles(resampled[:, number], persons, value), len(gaps), count)
        for number, value in enumerate(values)
    ]


@dataclass(frozen=True)
class _Task:
    """A figure of a group of faces, or the difference of one to what somebody else says."""

    figure: Figure
    other: str | None
    known: np.ndarray
    of: Weighted

    @property
    def all_known(self) -> bool:
        return bool(self.known.all())


def _tasks(
    faces: pd.DataFrame, rows: np.ndarray, others: Mapping[str, pd.DataFrame], figures: Sequence[Figure]
) -> list[_Task]:
    ours = faces.iloc[rows]
    tasks = []
    for figure in figures:
        known = figure.known(ours)
        tasks.append(_Task(figure, None, known, figure.of(ours[known])))
        for name, frame in others.items():
            theirs = frame.iloc[rows]
            both = known & figure.known(theirs)
            pair = figure.of(ours[both]), figure.of(theirs[both])
            tasks.append(_Task(figure, name, both, _minus(*pair)))
    return tasks


def _minus(ours: Weighted, theirs: Weighted) -> Weighted:
    return lambda weights: ours(weights) - theirs(weights)


def _draws(persons: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each face is in each of some resamples, float32 [R, N]."""
    count, rng = int(persons.max(initial=-1)) + 1, np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // max(len(persons), 1))
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(count, size=(rows, count)) if count else np.empty((rows, 0), int)
        often = np.bincount((drawn + np.arange(rows)[:, None] * count).ravel(), minlength=rows * count).reshape(
            rows, count
        )
        yield often.astype(np.float32)[:, persons]


def _measured(
    ours: pd.DataFrame,
    persons: np.ndarray,
    tasks: Sequence[_Task],
    draws: Sequence[np.ndarray],
) -> Measured:
    values: dict[str, float | None] = {}
    intervals: dict[str, Interval] = {}
    differences: dict[str, dict[str, Difference]] = {}
    for task, resampled in zip(tasks, draws, strict=True):
        figure, task_persons = task.figure, persons[task.known]
        value = _none(task.of(np.ones((1, len(task_persons))))[0]) if len(task_persons) else None
        if task.other is None:
            values[figure.name] = value
            intervals[figure.name] = (
                share_interval(figure.hits(ours[task.known]), task_persons)
                if figure.hits
                else _percentiles(resampled, task_persons, value)
            )
        else:
            ends = _percentiles(resampled, task_persons, value)
            differences.setdefault(task.other, {})[figure.name] = Difference(
                value, *ends, len(task_persons), len(np.unique(task_persons))
            )
    return Measured(values, intervals, differences)


def _percentiles(resampled: np.ndarray, persons: np.ndarray, value: float | None) -> Interval:
    defined = resampled[~np.isnan(resampled)]
    if value is None or len(np.unique(persons)) < 2 or len(defined) < _MIN_DEFINED * len(resampled):
        return Interval(None, None)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Interval(float(low), float(high))


def share_interval(hits: np.ndarray, persons: np.ndarray) -> Interval:
    """Wilson's 95 % interval of a share of faces, of as many independent ones as they are worth.

    Args:
        hits: whether each face is among the share.
        persons: number of each face's person.
    """
    codes, clusters = np.unique(persons, return_inverse=True)
    if len(codes) < 2:
        return Interval(None, None)
    faces, share = len(hits), float(hits.mean())
    effective = float(len(codes))  # where all are hits, or none is, nothing tells how alike a person's photos are
    if 0 < share < 1:
        sums = np.bincount(clusters, hits - share)
        variance = len(codes) / (len(codes) - 1) * float((sums**2).sum()) / faces**2
        effective = min(share * (1 - share) / variance, float(faces)) if variance > 0 else float(faces)
    return wilson(share, effective)


def wilson(share: float, faces: float) -> Interval:
    """Wilson's 95 % interval of a share (Wilson, JASA 1927)."""
    z2 = _NORMAL_975**2 / faces
    middle = (share + z2 / 2) / (1 + z2)
    half = _NORMAL_975 / (1 + z2) * np.sqrt(share * (1 - share) / faces + z2 / (4 * faces))
    # Exact at the ends, where rounding would leave a share of nothing beside the interval.
    return Interval(float(middle - half) if share > 0 else 0.0, float(middle + half) if share < 1 else 1.0)


def _none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
