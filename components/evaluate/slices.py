"""Slices: for whom the estimator is good and for whom it is not."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from components.evaluate.intervals import Measured
from components.evaluate.metrics import BY_NAME, figures
from schemas.record import LABEL

MAX_VALUES = 40
"""A column with more values is no slice: a name, a date or a number of its own."""

_SIDES = (64, 96, 128, 192, 256, 384)
_SCORES = (1.0, 2.0, 3.0, 4.0, 5.0)
"""Where the slices of the stored face's side, pixels, and of the source's face score begin."""

WORST_BY = ("age_mae", "age_class_accuracy", "gender_accuracy")


@dataclass(frozen=True)
class Slice:
    """Faces that have something in common.

    Attributes:
        name: what they have in common, for instance `gender`.
        value: which one of it.
        rows: numbers of the faces.
    """

    name: str
    value: str
    rows: np.ndarray


def slices(faces: pd.DataFrame) -> list[Slice]:
    """The slices of the faces; faces with an unknown label are in no slice of it, and what all faces share is none."""
    return [
        Slice(name, value, np.flatnonzero((values == value).to_numpy()))
        for name, values, order in _columns(faces)
        for value in order
    ]


def _columns(faces: pd.DataFrame) -> Iterator[tuple[str, pd.Series, Sequence[str]]]:
    """Name, value of each face, and the values in their order."""
    for name, column in (("gender", "gender"), ("age", "age_decade"), ("age_class", "age_class")):
        yield name, faces[column], sorted(faces[column].dropna().unique())
    both = faces["gender"] + " " + faces["age_decade"]
    yield "gender and age", both, sorted(both.dropna().unique())
    others: list[tuple[str, pd.Series, list[str]]] = [("source", faces["source"], [])]
    others += [("picture side", *_binned(faces["side"], _SIDES, "px"))]
    others += [("face score", *_binned(faces["face_score"], _SCORES, ""))]
    others += [(_own(name), faces[name], []) for name in map(str, faces) if name.startswith(LABEL)]
    for name, values, order in others:
        distinct = sorted(values.dropna().unique(), key=order.index if order else None)
        if 2 <= len(distinct) <= MAX_VALUES:
            yield name, values, distinct


_BUILT_IN = ("gender", "age", "age_class", "gender and age", "source", "picture side", "face score")


def _own(column: str) -> str:
    """Name of the slices of a table's own column, which is that of no other slices."""
    name = column.removeprefix(LABEL)
    return f"column {name}" if name in _BUILT_IN else name


def _binned(values: pd.Series, starts: Sequence[float], unit: str) -> tuple[pd.Series, list[str]]:
    names = [f"below {starts[0]:g} {unit}".strip()]
    names += [f"{first:g} to {after:g} {unit}".strip() for first, after in pairwise(starts)]
    names += [f"{starts[-1]:g} {unit} and more".replace("  ", " ")]
    numbers = np.searchsorted(starts, values.to_numpy(np.float64, na_value=np.nan), side="right")
    named = pd.Series(np.array(names, object)[np.minimum(numbers, len(names) - 1)], values.index)
    return named.where(values.notna()), names


def rows(
    face_slices: Sequence[Slice],
    faces: pd.DataFrame,
    measured: Sequence[Measured],
    others: Mapping[str, pd.DataFrame],
    min_examples: int,
    compared: Collection[str] = (),
) -> list[dict[str, Any]]:
    """What metrics.json tells of every slice.

    Of a slice whose faces are many, those of which a figure can be told may be few: `figure_faces` has their number for each of
    `WORST_BY`, and `judged_by` the figures that have enough of them.

    Args:
        face_slices: the slices.
        faces: predictions of the test split.
        measured: of each slice.
        others: what the baseline and, where it can be compared, the champion say of the same faces.
        min_examples: slices with fewer are too small to judge.
        compared: figures in which the champion may be held against the model.
    """
    return [
        {
            "slice": face_slice.name,
            "value": face_slice.value,
            **_counts(faces.iloc[face_slice.rows], min_examples),
            **slice_measured.values,
            **{f"{name}_low": ends.low for name, ends in slice_measured.intervals.items()},
            **{f"{name}_high": ends.high for name, ends in slice_measured.intervals.items()},
            **{other: figures(frame.iloc[face_slice.rows]) for other, frame in others.items()},
            "champion_differences": {
                name: difference._asdict()
                for name, difference in slice_measured.differences.get("champion", {}).items()
                if name in compared
            },
        }
        for face_slice, slice_measured in zip(face_slices, measured, strict=True)
    ]


def _counts(faces: pd.DataFrame, min_examples: int) -> dict[str, Any]:
    """How many faces and persons a slice has, and whether they are enough."""
    known = {name: faces["person"][BY_NAME[name].known(faces)] for name in WORST_BY}
    return {
        "examples": len(faces),
        "persons": int(faces["person"].nunique()),
        "judged": _is_enough(faces["person"], min_examples),
        "figure_faces": {name: len(persons) for name, persons in known.items()},
        "judged_by": [name for name, persons in known.items() if _is_enough(persons, min_examples)],
    }


def _is_enough(persons: pd.Series, min_examples: int) -> bool:
    return len(persons) >= min_examples and persons.nunique() >= 2


def worst(slice_rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By figure, the slice in which it is worst of those that are not too small; none where there is no such slice."""
    worst_rows = {}
    for name in WORST_BY:
        judgeable = [row for row in slice_rows if name in row["judged_by"]]
        if judgeable:
            row = (max if name == "age_mae" else min)(judgeable, key=lambda row: row[name])
            columns = ("slice", "value", name, f"{name}_low", f"{name}_high")
            worst_rows[name] = {key: row[key] for key in columns} | {"examples": row["figure_faces"][name]}
    return worst_rows
