"""Rejects: the photos and rows that were left out, each with one reason of a closed list."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REASONS: Mapping[str, str] = {
    "unsafe_path": "the path leads out of the photos' folder",
    "malformed_row": "the row or file name cannot be read",
    "age_out_of_range": "the age is below the lowest or above the highest allowed",
    "age_unknown": "no age is known",
    "gender_unknown": "no gender is known",
    "no_face": "the source's detector found no face",
    "low_face_score": "the face score is below the threshold",
    "second_face": "a second face stands on the photo",
    "excluded": "left out by name",
    "photo_missing": "there is no such file",
    "photo_too_large": "the photo has more bytes or pixels than allowed",
    "not_a_photo": "the file is not a picture",
    "photo_unsupported": "the picture is of a format that is not read, such as camera raw",
    "photo_unreadable": "the picture is cut short or damaged",
    "photo_too_small": "the face has fewer pixels than allowed",
    "duplicate": "the same picture was taken once already",
    "conflicting_labels": "the same picture carries labels that disagree",
}
"""Every reason and its meaning, in order of precedence: path, row, labels and scores, by name, photo, duplicates."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One photo or row left out.

    Attributes:
        source: name of the data set, or the archive of a scoring job.
        path: of the photo within it.
        person: identity as `SOURCE:ID`; empty if unknown.
        reason: a key of `REASONS`.
        detail: what helps to find and understand it, for instance the value that was out of range.
        row: number of the row in its source, -1 where there are no rows.
        sha256: hex digest of the photo file; empty if it was not opened.
    """

    source: str
    path: str
    person: str
    reason: str
    detail: str = ""
    row: int = -1
    sha256: str = ""


def arrow_schema() -> Any:
    """Columns of the rejects: the attributes of `Reject`."""
    import pyarrow as pa

    text = [(name, pa.string()) for name in ("source", "path", "person", "reason", "detail")]
    return pa.schema([*text, ("row", pa.int64()), ("sha256", pa.string())])


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write rejects as one Parquet file."""
    import pyarrow as pa

    from schemas.arrow_files import parquet as pq

    pq.write_table(pa.Table.from_pylist([asdict(reject) for reject in rejects], schema=arrow_schema()), path)


def read_rejects(path: Path) -> list[Reject]:
    """Read the rejects that `write_rejects` wrote."""
    from schemas.arrow_files import parquet as pq

    return [Reject(**row) for row in pq.read_table(path).to_pylist()]
