"""Faces on their way from the photo to the shard: what is known of each, and where its Example lies meanwhile.

Examples do not travel through Beam. Workers put them into spool files of the staging place (`components.ingest.spool`), and what
is grouped and sorted are descriptions of some hundred bytes (`components.ingest.face_tables`). So memory does not grow with the
pictures.
"""

import json
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from components.ingest import labels
from components.ingest.labels import SplitSettings
from components.storage import files, names
from schemas.record import FaceRecord
from schemas.reject import Reject

_ROWS = "rows.json"


class ExtractedFace(NamedTuple):
    """A face that was taken from a photo.

    Attributes:
        record: its row of the source.
        split: the split that it belongs to.
        fold: the fold that its person belongs to.
        sha256: hex digest of the photo file.
        version: what tells, without reading it, whether the photo file was changed; empty if nothing does.
        pixels: SHA-256 of the face's pixels; the same picture has the same one, however it was stored.
        height: of the face, pixels.
        width: of the face, pixels.
        file: where its encoded Example lies.
        offset: of the Example in that file.
        length: of the Example.
        crc: CRC-32C of the Example.
    """

    record: FaceRecord
    split: str
    fold: int
    sha256: str
    version: str
    pixels: bytes
    height: int
    width: int
    file: str
    offset: int
    length: int
    crc: int


_RECORD = (
    "row",
    "source",
    "path",
    "person",
    "age",
    "age_class",
    "gender",
    "box",
    "face_score",
    "second_face_score",
    "split",
    "own_labels",
)
_of_record = attrgetter(*_RECORD)

Row = tuple[Any, ...]
"""A face as a row of a table: the attributes of its record, then its own; plain values, which pickle fast."""

Place = tuple[str, int, int, int]
"""Where an encoded Example lies: its file, its offset there, its length, and its CRC-32C."""

PLACE = ExtractedFace._fields[-4:]
"""The attributes of a face that say so."""

by_split_and_picture = itemgetter(
    *(len(_RECORD) + ExtractedFace._fields.index(name) - 1 for name in ("split", "pixels")), 0
)
"""Sorts rows by the split and the digest of the picture; what has both in common by the row of the source."""


class Extraction(NamedTuple):
    """What became of some records.

    Attributes:
        rows: of the faces, without where their Examples lie.
        examples: their encoded Examples.
        rejects: the records of which there is no face.
    """

    rows: list[Row]
    examples: list[bytes]
    rejects: list[Reject]


def labels_of(record: FaceRecord, split: SplitSettings) -> tuple[Any, ...]:
    """The part of a row that follows from a record: its attributes, and the split and fold it belongs to."""
    return *_of_record(record), labels.split_of(record, split), labels.fold_of(record, split)


def row_of(face: ExtractedFace) -> Row:
    return *_of_record(face.record), *face[1:]


class Rows(NamedTuple):
    """How many rows a source has, and how many of them the label rules kept."""

    rows: int
    kept: int


def write_rows(staging: str, rows: Rows) -> None:
    """Leave the number of rows in the staging place, for whoever shows how far the work is."""
    with files.new_file(names.joined(staging, _ROWS)) as file:
        file.write(json.dumps(rows).encode())


def read_rows(staging: str) -> Rows | None:
    """The number of rows; None while they are still being read."""
    try:
        return Rows(*json.loads(files.read_bytes(names.joined(staging, _ROWS))))
    except FileNotFoundError:
        return None
