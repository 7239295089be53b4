"""What stands in the archive: rows, their photos, and the published data's defects, before anything is drawn."""

import functools
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.demo import scene
from pipeline.demo.people import YOUNGEST, Person, age_on_photo, invent
from pipeline.demo.scene import Shot
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


@dataclass(frozen=True, slots=True)
class Row:
    """One row of imdb.mat.

    Attributes:
        person: index in `Plan.people`.
        photo: number as in IMDB's `rm0000000123`.
        year: when the photo was taken, as the row has it.
        shot: the photo to take; None if there is no such file.
        defects: what is wrong with it, as reject reasons; under the usual filter the row earns the first in order of precedence.
        face_score, second_face_score: as in imdb.mat.
        outside: a path that leads out of the archive, in place of the row's own.
    """

    person: int
    photo: int
    year: int
    shot: Shot | None
    defects: frozenset[str]
    face_score: float
    second_face_score: float
    outside: str = ""


@dataclass(frozen=True, slots=True)
class AlbumPhoto:
    """One file of the unlabelled album; `broken` is "", "truncated", "text" or "empty"."""

    name: str
    shot: Shot
    broken: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything there is to make."""

    people: list[Person]
    rows: list[Row]
    album: list[AlbumPhoto]

    def path(self, row: Row) -> str:
        """The row's `full_path`: NN/nm#######_rm##########_YYYY-M-D_YYYY.jpg, NN the last two digits of the person's number."""
        person = self.people[row.person]
        born = f"{person.birth.year}-{person.birth.month}-{person.birth.day}"
        own = f"{person.number % 100:02d}/nm{person.number:07d}_rm{row.photo:010d}_{born}_{row.year}.jpg"
        return row.outside or own

    def expected(self) -> dict[str, Any]:
        """What an ingest under the usual filter must count."""
        order = list(REASONS)
        rejects = Counter(min(row.defects, key=order.index) for row in self.rows if row.defects)
        return {
            "rows": len(self.rows),
            "persons": len(self.people),
            "examples": len(self.rows) - rejects.total(),
            "rejects": dict(sorted(rejects.items())),
            "album": {"photos": len(self.album), "broken": sum(bool(photo.broken) for photo in self.album)},
        }


def plan(photos: int, seed: int) -> Plan:
    """Plan an archive of this many rows with photos; some rows without come on top. The same seed gives the same plan."""
    rng = np.random.default_rng([seed, 0])
    share = {reason: round(rate * photos) for reason, rate in RATES.items()}
    copies = share["duplicate"] + share["conflicting_labels"]
    photoless = share["photo_missing"] + share["unsafe_path"]
    count = photos - copies + photoless

    people, ages = _people(count, rng)
    defects = _defects(people, ages, photoless, share, rng)
    numbers = rng.choice(4_000_000_000, len(ages) + copies, replace=False)
    rows = [
        _row(people[person], person, age, int(number), defects[index], (seed, 1, index), rng)
        for index, ((person, age), number) in enumerate(zip(ages, numbers[:count], strict=True))
    ]
    rows = _with_copies(rows, people, numbers[count:].tolist(), share, rng)
    return Plan(people, sorted(rows, key=lambda row: (row.person, row.photo)), _album(photos, seed, rng))


def _people(count: int, rng: Any) -> tuple[list[Person], list[tuple[int, int]]]:
    """Persons, and (person, age) for each of `count` photos of them."""
    people: list[Person] = []
    ages: list[tuple[int, int]] = []
    numbers = rng.choice(9_999_999, count, replace=False) + 1
    while len(ages) < count:
        person = invent(int(numbers[len(people)]), rng)
        people.append(person)
        for _ in range(min(1 + int(min(rng.geometric(0.28), 14)), count - len(ages))):
            ages.append((len(people) - 1, age_on_photo(person, rng)))
    return people, ages


def _defects(
    people: list[Person], ages: list[tuple[int, int]], photoless: int, share: dict[str, int], rng: Any
) -> list[set[str]]:
    """The defects of each row. Those of the labels fall independently, as in the published set."""
    defects: list[set[str]] = [set() for _ in ages]

    def mark(reason: str, candidates: Any) -> None:
        for index in rng.permutation(candidates)[: share[reason]]:
            defects[int(index)].add(reason)

    every = np.arange(len(ages))
    without, photographed = np.split(rng.permutation(every), [photoless])
    for index in without[: share["photo_missing"]]:
        defects[int(index)].add("photo_missing")
    for index in without[share["photo_missing"] :]:
        defects[int(index)].add("unsafe_path")
    mark("photo_unreadable", photographed)
    mark("age_out_of_range", every)
    mark("no_face", every)
    faces = [index for index in every if "no_face" not in defects[index]]
    mark("low_face_score", faces)
    mark("second_face", [index for index in faces if "low_face_score" not in defects[index]])
    # A person's gender is unknown on all their photos, because it comes from their profile.
    unknown = set(rng.permutation(len(people))[: round(RATES["gender_unknown"] * len(people))].tolist())
    for index, (person, _) in enumerate(ages):
        if person in unknown:
            defects[index].add("gender_unknown")
    return defects


def _row(person: Person, index: int, age: int, number: int, defects: set[str], seed: tuple[int, ...], rng: Any) -> Row:
    year = year_at(person, age)
    face_score = float(np.clip(rng.normal(3.3, 1.25), 1.01, 7.1))
    second = float("nan")
    kind = scene.PORTRAIT
    if "no_face" in defects:
        face_score, kind = float("-inf"), scene.FACELESS
    elif "low_face_score" in defects:
        face_score, kind = float(rng.uniform(0.73, 0.99)), scene.BLURRED
    elif "second_face" in defects:
        second, kind = float(rng.uniform(0.73, 1) * face_score), scene.COUPLE
    side, ratio = int(rng.integers(96, 193)), float(rng.choice([1.0, 1.0, rng.uniform(0.9, 1.1)]))
    shot = None
    if not defects & {"photo_missing", "unsafe_path"}:
        shot = Shot(person, age, year, kind, side, round(side * ratio), seed)
    outside = ""
    if "unsafe_path" in defects:
        folder = f"{person.number % 100:02d}"
        outside = str(
            rng.choice([f"../outside_{number}.jpg", f"{folder}/../../{number}.jpg", f"/nowhere/{number}.jpg"])
        )
    if "age_out_of_range" in defects:
        if rng.random() < BEFORE_BIRTH:
            year = person.birth.year - int(rng.integers(2, 60))
        else:
            year = person.birth.year + MAX_AGE + int(rng.integers(2, 60))
    return Row(index, number, year, shot, frozenset(defects), face_score, second, outside)


def _with_copies(
    rows: list[Row], people: list[Person], numbers: list[int], share: dict[str, int], rng: Any
) -> list[Row]:
    """The rows, and more rows with the very photo of a good one: with its labels, or at least 20 years off, which spoils both."""
    good = [index for index in rng.permutation(len(rows)) if not rows[index].defects]
    of_age = [index for index in good if rows[index].shot.age >= 20 + YOUNGEST][: share["conflicting_labels"]]
    same = [index for index in good if index not in of_age][: share["duplicate"]]
    changed, copies = list(rows), []
    for index in of_age:
        row = rows[index]
        younger = int(rng.integers(YOUNGEST, row.shot.age - 20 + 1))
        changed[index] = replace(row, defects=frozenset({"conflicting_labels"}))
        copies.append(replace(changed[index], photo=numbers.pop(), year=year_at(people[row.person], younger)))
    for index in same:
        copies.append(replace(rows[index], photo=numbers.pop(), defects=frozenset({"duplicate"})))
    return changed + copies


def _album(photos: int, seed: int, rng: Any) -> list[AlbumPhoto]:
    count = min(max(photos // 10, 20), 200)
    broken = dict(enumerate(["truncated", "text", "empty"] * max(1, count // 100)))
    places = rng.permutation(count).tolist()
    person = functools.cache(lambda number: invent(number, rng))
    album = []
    for index in range(count):
        subject = person(index // 3)
        age = age_on_photo(subject, rng)
        kind = str(rng.choice([scene.PORTRAIT, scene.COUPLE, scene.FACELESS], p=[0.9, 0.06, 0.04]))
        side = int(rng.integers(96, 193))
        shot = Shot(subject, age, year_at(subject, age), kind, side, side, (seed, 2, index))
        name = f"box_{index // 50 + 1}/{places[index]:04d}.jpg"
        album.append(AlbumPhoto(name, shot, broken.get(places[index], "")))
    return album


def year_at(person: Person, age: int) -> int:
    """The year in which a person is this old by the data set's rule, which takes photos as taken in mid-year."""
    return person.birth.year + age + (1 if person.birth.month >= 7 else 0)
