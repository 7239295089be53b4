"""Pictures that stand in a source more than once: which row is kept, and which are rejected."""

from collections.abc import Callable, Iterable
from operator import attrgetter

import numpy as np
import pyarrow as pa

from components.ingest.blocks import groups
from components.ingest.face_tables import faces_of, table_of
from components.ingest.faces import ExtractedFace, row_of
from schemas.reject import Reject

Settled = tuple[list[ExtractedFace], list[Reject]]
"""Faces that are kept, and rejects of the others."""


def settled(
    faces: pa.Table, column: str, settle: Callable[[list[ExtractedFace]], Settled]
) -> tuple[pa.Table, list[Reject]]:
    """The faces that are kept if those with the same value of a column are settled among themselves; rejects of the others."""
    codes = faces[column].combine_chunks().dictionary_encode().indices.to_numpy()
    shared = np.bincount(codes)[codes] > 1
    kept_faces: list[ExtractedFace] = []
    rejects: list[Reject] = []
    for same in groups(faces_of(faces.filter(shared)), attrgetter(column)).values():
        some, others = settle(same)
        kept_faces += some
        rejects += others
    return pa.concat_tables([faces.filter(~shared), table_of(map(row_of, kept_faces))]), rejects


def keep_one(faces: Iterable[ExtractedFace], age_tolerance: int) -> Settled:
    """Of rows with the same picture the one to keep, if any, and a reject for each of the others.

    If their ages differ by more than the tolerance, or their classes or genders differ, nobody knows which is right and all
    are rejected. An unknown label agrees with any other. Kept is the row with the most labels, of these the first by path.
    """
    first, *others = sorted(faces, key=_preference)
    if not others:
        return [first], []
    conflict = _conflict([first, *others], age_tolerance)
    if conflict:
        return [], [_reject(face, "conflicting_labels", conflict) for face in (first, *others)]
    detail = f"the same picture as {first.record.path}, row {first.record.row}"
    return [first], [_reject(face, "duplicate", detail) for face in others]


def keep_one_split(faces: Iterable[ExtractedFace]) -> Settled:
    """Of different faces on one photo those to keep, so that the photo is in one split only; a reject for the others.

    Two persons on one photo may belong to different splits. The photo stays in the split of the first by path.
    """
    first, *others = sorted(faces, key=_preference)
    detail = f"the same photo is in the {first.split} split: {first.record.path}, row {first.record.row}"
    same_split = [face for face in others if face.split == first.split]
    return [first, *same_split], [_reject(face, "duplicate", detail) for face in others if face.split != first.split]


def _preference(face: ExtractedFace) -> tuple[int, str, int]:
    record = face.record
    unknown = (record.age is None and record.age_class is None) + (record.gender is None)
    return unknown, record.path, record.row


def _conflict(faces: list[ExtractedFace], age_tolerance: int) -> str:
    ages = sorted({face.record.age for face in faces if face.record.age is not None})
    if ages and ages[-1] - ages[0] > age_tolerance:
        return f"ages {', '.join(map(str, ages))}"
    for labels in ({face.record.age_class for face in faces}, {face.record.gender for face in faces}):
        known_labels = sorted(label for label in labels if label is not None)
        if len(known_labels) > 1:
            return f"both {' and '.join(known_labels)}"
    return ""


def _reject(face: ExtractedFace, reason: str, detail: str) -> Reject:
    record = face.record
    return Reject(record.source, record.path, record.person, reason, detail, record.row, face.sha256)
