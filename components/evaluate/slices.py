"""Slices: for whom the estimator is good and for whom it is not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from components.evaluate.intervals import Measured
from components.evaluate.metrics import figures
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
) -> list[dict[str, Any]]:
    """What metrics.json tells of every slice.

    Args:
        face_slices: the slices.
        faces: predictions of the test split.
        measured: of each slice.
        others: what the baseline and, where it can be compared, the champion say of the same faces.
        min_examples: slices with fewer are too small to judge.
    """
    return [
        {
            "slice": face_slice.name,
            "value": face_slice.value,
            "examples": len(face_slice.rows),
            "persons": (persons := int(faces["person"].iloc[face_slice.rows].nunique())),
            "judged": len(face_slice.rows) >= min_examples and persons >= 2,
            **slice_measured.values,
            **{f"{name}_low": ends.low for name, ends in slice_measured.intervals.items()},
            **{f"{name}_high": ends.high for name, ends in slice_measured.intervals.items()},
            **{other: figures(frame.iloc[face_slice.rows]) for other, frame in others.items()},
            "champion_differences": {
                name: difference._asdict()
                for name, difference in slice_measured.differences.get("champion", {}).items()
            },
        }
        for face_slice, slice_measured in zip(face_slices, measured, strict=True)
    ]


def worst(slice_rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By figure, the slice in which it is worst of those that are not too small; none where there is no such slice."""
    worst_rows = {}
    for name in WORST_BY:
        judgeable = [row for row in slice_rows if row["judged"] and row[name] is not None]
        if judgeable:
            row = (max if name == "age_mae" else min)(judgeable, key=lambda row: row[name])
            columns = ("slice", "value", "examples", name, f"{name}_low", f"{name}_high")
            worst_rows[name] = {key: row[key] for key in columns}
    return worst_rows
