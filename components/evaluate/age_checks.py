"""Age checks, as NIST's FATE AEV reports them (Hanaoka et al., NIST IR 8525, 2024): who gets through, and who is refused.

A check lets a person through who must be some age, the threshold, by one of two rules: the estimated age is at least a
challenge age, which lies above the threshold for safety; or the distribution says that the age is at least the threshold with at
least some probability. Minors are all below the threshold; the four years next below it, 14 to 17 for 18, are told apart, since
small children are easily seen to be none and would flatter the share.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.evaluate.intervals import Difference, Interval, Pairs, share_differences, share_interval
from components.evaluate.predictions import at_least_column
from components.evaluate.settings import AgeCheckSettings
from schemas.arrow_files import parquet as pq
from schemas.record import GENDERS

CHALLENGE, PROBABILITY = "challenge", "probability"
EVERYBODY = "all"
NEAR_YEARS = 4

REFUSED = "adults_refused"
SHARES = {"minors_passed": "minors", "near_minors_passed": "near_minors", REFUSED: "adults"}
"""The shares that are reported, and of whom they are."""

BASELINE, CHAMPION = "baseline_", "champion_"
_ENDS = ("", "_low", "_high")

SCHEMA = pa.schema(
    [
        ("threshold", pa.int32()),
        ("rule", pa.string()),
        ("at", pa.float64()),
        ("group", pa.string()),
        *((name, pa.int64()) for name in SHARES.values()),
        *((f"{name}{end}", pa.float64()) for name in SHARES for end in _ENDS),
        *((f"{BASELINE}{name}", pa.float64()) for name in SHARES),
        *((f"{CHAMPION}{name}{end}", pa.float64()) for name in SHARES for end in _ENDS),
        *((f"{name}_difference{end}", pa.float64()) for name in SHARES for end in _ENDS),
    ]
)
"""Columns of age_checks.parquet, a row a threshold, rule, challenge age or probability, and gender.

`threshold`: years that somebody must be; `rule`: `challenge` or `probability`; `at`: the challenge age in years or the
probability that is asked for; `group`: `all`, `female` or `male`; `minors`, `near_minors`, `adults`: numbers of faces; shares
with their 95 % intervals by person, null where there is no such face, the ends also where all are of one person; `baseline_`
and `champion_`: the shares of these at the same setting; `_difference`: ours minus the champion's, of the faces
that both tell. What is the champion's is null where there is none that may be compared.
"""

Setting = tuple[str, float]
"""A rule, and the challenge age or probability that it asks for."""


@dataclass(frozen=True)
class Sides:
    """Predictions for the test faces, in the same rows; each has a column `at_least_column` for every threshold.

    Attributes:
        ours: of the new model.
        baseline: of the baseline.
        champion: of the champion; None where there is none that may be compared.
    """

    ours: pd.DataFrame
    baseline: pd.DataFrame
    champion: pd.DataFrame | None = None

    @property
    def persons(self) -> np.ndarray:
        """Number of each face's person."""
        return pd.factorize(self.ours["person"])[0]


def table(sides: Sides, check_settings: AgeCheckSettings) -> list[dict[str, Any]]:
    """The shares for every threshold, rule and gender; see `SCHEMA`. Nothing where no age is known.

    Args:
        sides: the predictions for the faces.
        check_settings: thresholds and rules.
    """
    persons = sides.persons
    rows: list[dict[str, Any]] = []
    pairs: list[Pairs] = []
    paired: list[tuple[list[dict[str, Any]], str]] = []
    for threshold in dict.fromkeys(check_settings.thresholds):
        settings = list(_settings(threshold, check_settings))
        if not settings:  # above the highest challenge age, and no probability is tried
            continue
        for group, people in _people(sides.ours, threshold).items():
            counts = {whom: len(people[whom]) for whom in SHARES.values()}
            group_rows = [
                {"threshold": threshold, "rule": rule, "at": float(at), "group": group, **counts}
                for rule, at in settings
            ]
            for name, whom in SHARES.items():
                of = people[whom]
                _add_shares(group_rows, name, _among(name, sides.ours, of, threshold, settings), persons[of])
                constant = _among(name, sides.baseline, _with_predicted_age(sides.baseline, of), threshold, settings)
                for row, hits in zip(group_rows, constant.T, strict=True):
                    row[f"{BASELINE}{name}"] = _mean(hits)
                if sides.champion is not None:
                    of = _with_predicted_age(sides.champion, of)
                    both = [_among(name, side, of, threshold, settings) for side in (sides.ours, sides.champion)]
                    _add_shares(group_rows, f"{CHAMPION}{name}", both[1], persons[of])
                    pairs.append(Pairs(of, *both))
                    paired.append((group_rows, name))
            rows += group_rows
    for (group_rows, name), differences in zip(paired, share_differences(persons, pairs), strict=True):
        for row, difference in zip(group_rows, differences, strict=True):
            row |= _ends_of(f"{name}_difference", difference)
    return rows


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the table as Parquet."""
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA), path)


def read_off(rows: Sequence[Mapping[str, Any]], sides: Sides, check_settings: AgeCheckSettings) -> list[dict[str, Any]]:
    """For every threshold, rule, gender and wanted false acceptance: where to set the check.

    `at` is the lowest challenge age or probability from which on the share of near minors that pass is no larger than wanted, by
    the upper end of its interval; None where the test faces do not show that of any. `at_estimate` goes by the share itself.
    What it costs, `adults_refused`, stands with each. The champion has its own setting for the same false acceptance,
    `champion_at`; `at_adults_refused_difference` is how many more adults are refused at `at` than by the champion there.

    Args:
        rows: as `table` gives them.
        sides: the predictions for the faces.
        check_settings: thresholds, rules and the wanted false acceptances.
    """
    operating_points = []
    for (threshold, rule, group), group_rows in pd.DataFrame(list(rows), columns=SCHEMA.names).groupby(
        ["threshold", "rule", "group"], sort=False
    ):
        for false_acceptance in check_settings.false_acceptance:
            row: dict[str, Any] = {"threshold": int(threshold), "rule": rule, "group": group}
            row |= {"false_acceptance": false_acceptance, "near_minors": int(group_rows["near_minors"].iloc[0])}
            row |= _set_at("at", group_rows, "near_minors_passed_high", REFUSED, false_acceptance)
            row |= _set_at("at_estimate", group_rows, "near_minors_passed", REFUSED, false_acceptance)
            if sides.champion is not None:
                by = f"{CHAMPION}near_minors_passed_high"
                row |= _set_at(f"{CHAMPION}at", group_rows, by, f"{CHAMPION}{REFUSED}", false_acceptance)
            operating_points.append(row)
    _add_costs(operating_points, sides)
    return operating_points


def passed(faces: pd.DataFrame, threshold: int, rule: str, at: float) -> np.ndarray:
    """Whom a check lets through."""
    if rule == CHALLENGE:
        return (faces["predicted_age"] >= at).to_numpy()
    return (faces[at_least_column(threshold)] >= at).to_numpy()


def _add_costs(operating_points: Sequence[dict[str, Any]], sides: Sides) -> None:
    """Add how many more adults are refused than by the champion, each at its own setting for the same false acceptance."""
    if sides.champion is None:
        return
    compared, pairs = [], []
    for row in operating_points:
        row |= _ends_of(f"at_{REFUSED}_difference", _UNKNOWN)
        if row["at"] is None or row[f"{CHAMPION}at"] is None:
            continue
        threshold = row["threshold"]
        adults = _with_predicted_age(sides.champion, _people(sides.ours, threshold)[row["group"]]["adults"])
        both = [
            _among(REFUSED, side, adults, threshold, [(row["rule"], at)])
            for side, at in ((sides.ours, row["at"]), (sides.champion, row[f"{CHAMPION}at"]))
        ]
        compared.append(row)
        pairs.append(Pairs(adults, *both))
    for row, (difference,) in zip(compared, share_differences(sides.persons, pairs), strict=True):
        row |= _ends_of(f"at_{REFUSED}_difference", difference)


def _set_at(
    name: str, group_rows: pd.DataFrame, column: str, cost: str, false_acceptance: float
) -> dict[str, float | None]:
    """The lowest setting from which on a share never exceeds what is wanted, and what it costs with its interval."""
    ordered = group_rows.sort_values("at")
    within_limit = (ordered[column].astype(float) <= false_acceptance).to_numpy()
    from_here = np.logical_and.accumulate(within_limit[::-1])[::-1]
    lowest = ordered.iloc[int(from_here.argmax())] if from_here.any() else None
    costs = {f"{name}_{REFUSED}{end}": _number(lowest, f"{cost}{end}") for end in _ENDS}
    return {name: _number(lowest, "at"), **costs}


def _number(row: pd.Series | None, column: str) -> float | None:
    return None if row is None or pd.isna(row[column]) else float(row[column])


def _settings(threshold: int, check_settings: AgeCheckSettings) -> Iterator[Setting]:
    yield from (
        (CHALLENGE, age)
        for age in range(max(threshold, check_settings.lowest_challenge), check_settings.highest_challenge + 1)
    )
    yield from ((PROBABILITY, probability) for probability in sorted(check_settings.probabilities))


def _people(faces: pd.DataFrame, threshold: int) -> dict[str, dict[str, np.ndarray]]:
    """By gender, of each kind of `SHARES` the numbers of the faces; only of those whose age is known and predicted."""
    age = faces["age"].to_numpy(np.float64)
    known = ~np.isnan(age) & faces["predicted_age"].notna().to_numpy()
    minor = age < threshold
    kinds = {"minors": minor, "near_minors": minor & (age >= threshold - NEAR_YEARS), "adults": ~minor}
    groups = {EVERYBODY: known} | {gender: known & (faces["gender"] == gender).to_numpy() for gender in GENDERS}
    return {
        group: {whom: np.flatnonzero(in_group & kind) for whom, kind in kinds.items()}
        for group, in_group in groups.items()
        if in_group.any()
    }


def _with_predicted_age(side: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Those of some faces for which an age is predicted."""
    return rows[side["predicted_age"].notna().to_numpy()[rows]]


def _among(name: str, side: pd.DataFrame, rows: np.ndarray, threshold: int, settings: Sequence[Setting]) -> np.ndarray:
    """Whether each of some faces is among a share at each of some settings, bool [faces, settings]."""
    faces = side.iloc[rows]
    through = np.stack([passed(faces, threshold, rule, at) for rule, at in settings], axis=1)
    return ~through if name == REFUSED else through


def _add_shares(rows: Sequence[dict[str, Any]], name: str, among: np.ndarray, persons: np.ndarray) -> None:
    """Add a share with its interval to the row of each setting."""
    for row, hits in zip(rows, among.T, strict=True):
        ends = share_interval(hits, persons) if len(hits) else Interval(None, None)
        row |= {name: _mean(hits), f"{name}_low": ends.low, f"{name}_high": ends.high}


def _mean(hits: np.ndarray) -> float | None:
    return float(hits.mean()) if len(hits) else None


_UNKNOWN = Difference(None, None, None, 0, 0)


def _ends_of(name: str, difference: Difference) -> dict[str, float | None]:
    return {name: difference.value, f"{name}_low": difference.low, f"{name}_high": difference.high}
