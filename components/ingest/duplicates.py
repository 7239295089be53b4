"""Pictures that stand in a source more than once: which row is kept, and which are rejected."""

from collections.abc import Callable, Iterable

from components.ingest.faces import TakenFace
from schemas.reject import Reject


def settle(faces: Iterable[TakenFace], age_tolerance: int) -> tuple[TakenFace | None, list[Reject]]:
    """Of rows with the same picture the one to keep, if any, and a reject for each of the others.

    If their ages differ by more than the tolerance, or their classes or genders differ, nobody knows which is right and all
    are rejected. An unknown label agrees with any other. Kept is the row with the most labels, of these the first by path.
    """
    first, *others = sorted(faces, key=_preference)
    if not others:
        return first, []
    conflict = _conflict([first, *others], age_tolerance)
    if conflict:
        return None, [_reject(face, "conflicting_labels", conflict) for face in (first, *others)]
    detail = f"the same picture as {first.record.path}, row {first.record.row}"
    return first, [_reject(face, "duplicate", detail) for face in others]


def keep_apart(
    faces: Iterable[TakenFace], split_of: Callable[[TakenFace], str]
) -> tuple[list[TakenFace], list[Reject]]:
    """Of different faces on one photo those to keep, so that the photo is in one split only; a reject for the others.

    Two persons on one photo may belong to different splits. The photo stays in the split of the first by path.
    """
    ordered = sorted(faces, key=_preference)
    if len(ordered) == 1:
        return ordered, []
    split = split_of(ordered[0])
    kept = [face for face in ordered if split_of(face) == split]
    detail = f"the same photo is in the {split} split: {ordered[0].record.path}, row {ordered[0].record.row}"
    return kept, [_reject(face, "duplicate", detail) for face in ordered if split_of(face) != split]


def _preference(face: TakenFace) -> tuple[int, str, int]:
    record = face.record
    unknown = (record.age is None and record.age_class is None) + (record.gender is None)
    return unknown, record.path, record.row


def _conflict(faces: list[TakenFace], age_tolerance: int) -> str:
    ages = sorted({face.record.age for face in faces if face.record.age is not None})
    if ages and ages[-1] - ages[0] > age_tolerance:
        return f"ages {', '.join(map(str, ages))}"
    for labels in ({face.record.age_class for face in faces}, {face.record.gender for face in faces}):
        known = sorted(label for label in labels if label is not None)
        if len(known) > 1:
            return f"both {' and '.join(known)}"
    return ""


def _reject(face: TakenFace, reason: str, detail: str) -> Reject:
    record = face.record
    return Reject(record.source, record.path, record.person, reason, detail, record.row, face.sha256)
