"""95 % intervals of figures and of their differences, by person.

Photos of one person resemble each other, so whole persons are drawn, not photos (the cluster bootstrap: Field and Welsh,
"Bootstrapping clustered data", JRSS B 2007). Persons are drawn from the whole test split, and a slice is looked at in each of the
draws, so that the number of its faces varies as it would. Shares have Wilson's interval, and differences of two shares of the
same faces Tango's, at their effective number of faces (Korn and Graubard, "Confidence intervals for proportions with small
expected number of positive counts", Survey Methodology 1998): a bootstrap of a share of 100 %, or of two models that are right
about the same faces, would say that there is no doubt.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from components.evaluate.metrics import FIGURES, Figure, Weighted

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
                if task.hits is None:
                    values.append(task.of(mine if task.all_known else mine[:, task.known]))
    return [
        _measured(persons[rows], group_tasks, group_draws)
        for rows, group_tasks, group_draws in zip(groups, tasks, draws, strict=True)
    ]


def differences(
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    resamples: int,
    seed: int,
    figures: Sequence[Figure] = FIGURES,
) -> Mapping[str, Difference]:
    """Ours minus theirs, by figure, face by face: those that are hard for both do not widen the interval."""
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


def share_differences(persons: np.ndarray, pairs: Sequence[Pairs]) -> list[list[Difference]]:
    """Ours minus theirs, for every share of every pair.

    Args:
        persons: number of the person of every face of the test split.
        pairs: what is compared.
    """
    return [_share_differences(pair.ours.astype(np.float64) - pair.theirs, persons[pair.rows]) for pair in pairs]


def _share_differences(gaps: np.ndarray, persons: np.ndarray) -> list[Difference]:
    """From 1 for each face that only we have among a share, -1 for one that only they have and 0 for others, [N, shares]."""
    faces, shares = gaps.shape
    order = np.argsort(persons, kind="stable")
    codes, starts = np.unique(persons[order], return_index=True)
    if not faces:
        return [Difference(None, None, None, 0, 0)] * shares
    values = gaps.mean(axis=0)
    if len(codes) < 2:
        return [Difference(float(value), None, None, faces, len(codes)) for value in values]
    sums = np.add.reduceat((gaps - values)[order], starts, axis=0)
    low, high = tango(
        (gaps > 0).mean(axis=0), (gaps < 0).mean(axis=0), _effective((gaps**2).mean(axis=0) - values**2, sums, faces)
    )
    return [
        Difference(float(value), float(least), float(most), faces, len(codes))
        for value, least, most in zip(values, low, high, strict=True)
    ]


@dataclass(frozen=True)
class _Task:
    """A figure of a group of faces, or the difference of one to what somebody else says.

    Of a share, `hits` says of each face whether it is among it; of the difference of two, for whom, see `_share_differences`.
    """

    figure: Figure
    other: str | None
    known: np.ndarray
    of: Weighted
    hits: np.ndarray | None

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
        hits = figure.hits(ours[known]) if figure.hits else None
        tasks.append(_Task(figure, None, known, figure.of(ours[known]), hits))
        for name, frame in others.items():
            theirs = frame.iloc[rows]
            both = known & figure.known(theirs)
            pair = ours[both], theirs[both]
            gaps = np.subtract(*(figure.hits(side).astype(np.float64) for side in pair)) if figure.hits else None
            tasks.append(_Task(figure, name, both, _minus(*map(figure.of, pair)), gaps))
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


def _measured(persons: np.ndarray, tasks: Sequence[_Task], draws: Sequence[Sequence[np.ndarray]]) -> Measured:
    values: dict[str, float | None] = {}
    intervals: dict[str, Interval] = {}
    differences: dict[str, dict[str, Difference]] = {}
    for task, resampled in zip(tasks, draws, strict=True):
        name, task_persons = task.figure.name, persons[task.known]
        value = _none(task.of(np.ones((1, len(task_persons))))[0]) if len(task_persons) else None
        if task.other is None:
            values[name] = value
            intervals[name] = (
                _percentiles(resampled, task_persons, value)
                if task.hits is None
                else share_interval(task.hits, task_persons)
            )
            continue
        of_other = differences.setdefault(task.other, {})
        if task.hits is None:
            counts = len(task_persons), len(np.unique(task_persons))
            of_other[name] = Difference(value, *_percentiles(resampled, task_persons, value), *counts)
        else:
            (of_other[name],) = _share_differences(task.hits[:, None], task_persons)
    return Measured(values, intervals, differences)


def _percentiles(draws: Sequence[np.ndarray], persons: np.ndarray, value: float | None) -> Interval:
    resampled = np.concatenate(draws)
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
    share = float(hits.mean())
    return wilson(share, float(_effective(share * (1 - share), np.bincount(clusters, hits - share), len(hits))))


def _effective(independent: np.ndarray | float, sums: np.ndarray, faces: int) -> np.ndarray:
    """How many independent faces are worth as much as some.

    Args:
        independent: variance that a face has for itself, [shares] or a number.
        sums: of the differences from the mean, by person, [persons, shares] or [persons].
        faces: number of all.
    """
    persons = len(sums)
    variance = persons / (persons - 1) * (sums**2).sum(axis=0) / faces**2
    with np.errstate(divide="ignore", invalid="ignore"):
        number = np.where(variance > 0, np.minimum(independent / variance, faces), faces)
    # Where all faces are alike nothing tells how alike those of a person are.
    return np.where(np.asarray(independent) > 0, number, persons)


def wilson(share: float, faces: float) -> Interval:
    """Wilson's 95 % interval of a share (Wilson, JASA 1927)."""
    z2 = _NORMAL_975**2 / faces
    middle = (share + z2 / 2) / (1 + z2)
    half = _NORMAL_975 / (1 + z2) * np.sqrt(share * (1 - share) / faces + z2 / (4 * faces))
    # Exact at the ends, where rounding would leave a share of nothing beside the interval.
    return Interval(float(middle - half) if share > 0 else 0.0, float(middle + half) if share < 1 else 1.0)


def tango(ours: np.ndarray, theirs: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the 95 % score interval of differences of two shares of the same faces.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design", Statistics
    in Medicine 1998: all differences that a test, with the variance that a difference itself implies, does not reject.

    Args:
        ours: share of the faces that are among ours alone, [N].
        theirs: of those that are among theirs alone.
        faces: how many there are.
    """
    value = ours - theirs

    def not_rejected(difference: np.ndarray) -> np.ndarray:
        # The likeliest share of faces among theirs alone, were this the difference: a root of a quadratic equation.
        linear = (2 - value) * difference - ours - theirs
        constant = theirs * difference * (1 - difference)
        theirs_then = (np.sqrt(np.maximum(linear**2 + 8 * constant, 0)) - linear) / 4
        variance = 2 * theirs_then + difference * (1 - difference)
        return faces * (value - difference) ** 2 <= _NORMAL_975**2 * variance

    ends = []
    for farthest in (-1.0, 1.0):
        inside, outside = value, np.full_like(value, farthest)
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            kept = not_rejected(middle)
            inside, outside = np.where(kept, middle, inside), np.where(kept, outside, middle)
        ends.append(inside)
    return ends[0], ends[1]


_HALVINGS = 40
"""Until an end is found to a billionth."""


def _none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
