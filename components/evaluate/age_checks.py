"""Age checks, as NIST's FATE AEV reports them (Hanaoka et al., NIST IR 8525, 2024): who gets through, and who is refused.

A check lets a person through who must be some age, the threshold, by one of two rules: the estimated age is at least a
challenge age, which lies above the threshold for safety; or the distribution says that the age is at least the threshold with at
least some probability. Minors are all below the threshold; the four years next below it, 14 to 17 for 18, are told apart, since
small children are easily seen to be none and would flatter the share.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.evaluate.intervals import share_interval
from components.evaluate.predictions import at_least_column
from components.evaluate.settings import AgeCheckSettings
from schemas.arrow_files import parquet as pq
from schemas.record import GENDERS

CHALLENGE, PROBABILITY = "challenge", "probability"
EVERYBODY = "all"
NEAR_YEARS = 4

_SHARES = ("minors_passed", "near_minors_passed", "adults_refused")

SCHEMA = pa.schema(
    [
        ("threshold", pa.int32()),
        ("rule", pa.string()),
        ("at", pa.float64()),
        ("group", pa.string()),
        *((name, pa.int64()) for name in ("minors", "near_minors", "adults")),
        *((f"{name}{end}", pa.float64()) for name in _SHARES for end in ("", "_low", "_high")),
    ]
)
"""Columns of age_checks.parquet, a row a threshold, rule, challenge age or probability, and gender.

`threshold`: years that somebody must be; `rule`: `challenge` or `probability`; `at`: the challenge age in years or the
probability that is asked for; `group`: `all`, `female` or `male`; `minors`, `near_minors`, `adults`: numbers of faces; shares
with their 95 % intervals by person, null where there is no such face, the ends also where all are of one person.
"""


def table(faces: pd.DataFrame, asked: AgeCheckSettings) -> list[dict[str, Any]]:
    """The shares for every threshold, rule and gender; see `SCHEMA`. Nothing where no age is known.

    Args:
        faces: predictions, with a column `at_least_column` for each threshold.
        asked: thresholds and rules.
    """
    held = faces[faces["age"].notna() & faces["predicted_age"].notna()]
    held = held.assign(person=pd.factorize(held["person"])[0])
    groups = {EVERYBODY: held} | {gender: held[held["gender"] == gender] for gender in GENDERS}
    return [
        {"threshold": threshold, "rule": rule, "at": float(at), "group": group}
        | _shares(of, threshold, passed(of, threshold, rule, at))
        for threshold in asked.thresholds
        for rule, at in _rules(threshold, asked)
        for group, of in groups.items()
        if len(of)
    ]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the table as Parquet."""
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA), path)


def passed(faces: pd.DataFrame, threshold: int, rule: str, at: float) -> np.ndarray:
    """Whom a check lets through."""
    if rule == CHALLENGE:
        return (faces["predicted_age"] >= at).to_numpy()
    return (faces[at_least_column(threshold)] >= at).to_numpy()


def read_off(rows: Sequence[Mapping[str, Any]], asked: AgeCheckSettings) -> list[dict[str, Any]]:
    """For every threshold, rule, gender and wanted false acceptance: where to set the check.

    `at` is the lowest challenge age or probability from which on the share of near minors that pass is no larger than wanted, by
    the upper end of its interval; None where the test faces do not show that of any. `at_estimate` goes by the share itself.
    What it costs, `adults_refused`, stands with each.
    """
    found = []
    frame = pd.DataFrame(list(rows), columns=SCHEMA.names)
    for (threshold, rule, group), held in frame.groupby(["threshold", "rule", "group"], sort=False):
        for wanted in asked.false_acceptance:
            row: dict[str, Any] = {"threshold": int(threshold), "rule": rule, "group": group}
            row |= {"false_acceptance": wanted, "near_minors": int(held["near_minors"].iloc[0])}
            for name, column in (("at", "near_minors_passed_high"), ("at_estimate", "near_minors_passed")):
                one = _lowest(held, column, wanted)
                row[name] = None if one is None else float(one["at"])
                refused = None if one is None else one["adults_refused"]
                row[f"{name}_adults_refused"] = None if refused is None or np.isnan(refused) else float(refused)
            found.append(row)
    return found


def _lowest(held: pd.DataFrame, column: str, wanted: float) -> pd.Series | None:
    """The first row, by `at`, from which on a share never exceeds what is wanted."""
    ordered = held.sort_values("at")
    kept = (ordered[column].astype(float) <= wanted).to_numpy()
    from_here = np.logical_and.accumulate(kept[::-1])[::-1]
    return ordered.iloc[int(from_here.argmax())] if from_here.any() else None


def _rules(threshold: int, asked: AgeCheckSettings) -> Iterator[tuple[str, float]]:
    yield from ((CHALLENGE, age) for age in range(max(threshold, asked.lowest_challenge), asked.highest_challenge + 1))
    yield from ((PROBABILITY, probability) for probability in sorted(asked.probabilities))


def _shares(faces: pd.DataFrame, threshold: int, through: np.ndarray) -> dict[str, Any]:
    age, persons = faces["age"].to_numpy(), faces["person"].to_numpy()
    minor = age < threshold
    near = minor & (age >= threshold - NEAR_YEARS)
    told: dict[str, Any] = {"minors": int(minor.sum()), "near_minors": int(near.sum()), "adults": int((~minor).sum())}
    for name, of, hits in zip(_SHARES, (minor, near, ~minor), (through, through, ~through), strict=True):
        ends = share_interval(hits[of], persons[of]) if of.any() else (None, None)
        told |= {name: float(hits[of].mean()) if of.any() else None, f"{name}_low": ends[0], f"{name}_high": ends[1]}
    return told
