"""What stands in the archive: rows, their photos, and the published data's defects, before anything is drawn."""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.demo.people import YOUNGEST, Person
from pipeline.demo.scene import BLURRED, COUPLE, FACELESS, PORTRAIT, Shot
from schemas.record import MAX_AGE
from schemas.reject import REASONS

RATES = {
    "no_face": 0.289,
    "second_face": 0.066,
    "gender_unknown": 0.042,
    "age_out_of_range": 0.029,
    "low_face_score": 0.021,
    "photo_missing": 0.010,
    "photo_unreadable": 0.010,
    "unsafe_path": 0.004,
    "duplicate": 0.006,
    "conflicting_labels": 0.009,
}
"""Share of the rows with each defect, by the reject reason it earns.

The first five are the shares in the 62,328 rows of the published wiki.mat (a row can have several). The last two are those of
UTKFace's 23,708: 375 groups of identical pictures, of which 224 disagree. Missing, truncated and unsafe ones are the demo's own:
what happens to archives that are copied about for years.
"""

BEFORE_BIRTH = 0.71
"""Of the impossible dates in wiki.mat, the share before the birth; the others are over 100 years after it."""

KINDS = {"no_face": FACELESS, "second_face": COUPLE, "low_face_score": BLURRED}
FILES = ("photo_missing", "photo_unreadable", "unsafe_path")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of imdb.mat."""

    number: int  # of the photo, as in IMDB's rm0000000123
    person: Person
    year: int  # when the photo was taken, as the row has it
    shot: Shot
    defects: frozenset[str]  # as reject reasons; under the usual filter the row earns the first in order of precedence
    face_score: float  # -inf: no face
    second_face_score: float  # NaN: none

    @property
    def has_photo(self) -> bool:
        """Whether there is such a file."""
        return not self.defects & {"photo_missing", "unsafe_path"}

    @property
    def path(self) -> str:
        """NN/nm#######_rm##########_YYYY-M-D_YYYY.jpg, NN the last two digits of the person's number; or one that leads out."""
        folder, born = f"{self.person.number % 100:02d}", self.person.birth
        own = f"nm{self.person.number:07d}_rm{self.number:010d}_{born.year}-{born.month}-{born.day}_{self.year}.jpg"
        outside = (f"../{own}", f"{folder}/../../{own}", f"/nowhere/{own}")
        return outside[self.number % 3] if "unsafe_path" in self.defects else f"{folder}/{own}"


def expected(rows: list[Row]) -> dict[str, Any]:
    """What an ingest under the usual filter must count."""
    order = list(REASONS)
    rejects = Counter(min(row.defects, key=order.index) for row in rows if row.defects)
    return {
        "rows": len(rows),
        "persons": len({row.person.number for row in rows}),
        "examples": len(rows) - rejects.total(),
        "rejects": dict(sorted(rejects.items())),
    }


def plan_rows(photos: int, seed: int) -> list[Row]:
    """As many rows with a photo, and some without on top, person by person. The same seed gives the same rows."""
    rng = np.random.default_rng(seed)
    duplicates, conflicts = (round(RATES[reason] * photos) for reason in ("duplicate", "conflicting_labels"))
    rows: list[Row] = []
    remaining = photos - duplicates - conflicts
    person_numbers = itertools.count(1)
    while remaining:
        person = Person(next(person_numbers), seed)
        # The gender comes from a person's profile, so that it is unknown on all their photos.
        profile = _one_or_none(["gender_unknown"], rng)
        for _ in range(1 + min(rng.geometric(0.28), 14)):
            if remaining:
                rows.append(_row(len(rows) + 1, person, profile, seed, rng))
                remaining -= rows[-1].has_photo
    _add_copies(rows, duplicates, conflicts, rng)
    return sorted(rows, key=lambda row: (row.person.number, row.number))


def _one_or_none(reasons: Iterable[str], rng: Any) -> set[str]:
    """One of the reasons, as often as `RATES` says, or none."""
    rates = [RATES[reason] for reason in reasons]
    return {str(rng.choice(["", *reasons], p=[1 - sum(rates), *rates]))} - {""}


def _row(number: int, person: Person, profile: set[str], seed: int, rng: Any) -> Row:
    age, off = person.age_on_photo(rng), int(rng.integers(2, 60))
    defects = profile.union(*(_one_or_none(reasons, rng) for reasons in (["age_out_of_range"], KINDS, FILES)))
    kind = next((KINDS[reason] for reason in defects if reason in KINDS), PORTRAIT)
    width = int(rng.integers(96, 193))
    height = round(width * rng.choice([1, 1, rng.uniform(0.9, 1.1)]))
    year = person.year_at(age)
    shot = Shot(person, age, year, kind, (width, height), (seed, 1, number))
    if "age_out_of_range" in defects:
        year = person.birth.year + (-off if rng.random() < BEFORE_BIRTH else MAX_AGE + off)
    score = {FACELESS: -np.inf, BLURRED: rng.uniform(0.73, 0.99)}.get(kind, max(1.01, rng.normal(3.3, 1.25)))
    second_score = rng.uniform(0.73, 1) * score if kind == COUPLE else np.nan
    return Row(number, person, year, shot, frozenset(defects), score, second_score)


def _add_copies(rows: list[Row], duplicates: int, conflicts: int, rng: Any) -> None:
    """Add rows with the very photo of a good one: with its labels, or at least 20 years off, which spoils both."""
    usable = [index for index in rng.permutation(len(rows)) if not rows[index].defects]
    for index in usable[:duplicates]:
        rows.append(replace(rows[index], number=len(rows) + 1, defects=frozenset({"duplicate"})))
    for index in [index for index in usable[duplicates:] if rows[index].shot.age >= 20 + YOUNGEST][:conflicts]:
        row = rows[index] = replace(rows[index], defects=frozenset({"conflicting_labels"}))
        other_year = row.year - int(rng.integers(20, row.shot.age - YOUNGEST + 1))
        rows.append(replace(row, number=len(rows) + 1, year=other_year))


def plan_album(photos: int, seed: int) -> list[Shot]:
    """A tenth as many photos of other people, of whom nothing is known."""
    rng = np.random.default_rng((seed, 0, 0))
    shots = []
    for index in range(min(max(photos // 10, 20), 200)):
        person = Person(index // 3, seed + 1)
        age, width = person.age_on_photo(rng), int(rng.integers(96, 193))
        kind = str(rng.choice([PORTRAIT, COUPLE, FACELESS], p=[0.9, 0.06, 0.04]))
        shots.append(Shot(person, age, person.year_at(age), kind, (width, width), (seed, 2, index)))
    return shots
