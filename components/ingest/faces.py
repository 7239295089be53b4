"""Faces on their way from the photo to the shard: what is known of each, and where its Example lies meanwhile.

Examples do not travel through Beam. Workers append them to spool files in the output folder, and what is grouped and sorted
are descriptions of some hundred bytes, see `components.ingest.face_tables`. So memory does not grow with the pictures.
"""

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Self

import google_crc32c

from components.ingest import labels
from components.ingest.labels import SplitSettings
from schemas.error import VisageError
from schemas.record import FaceRecord

SPOOL = ".spool"
"""Folder in the output where faces lie until they are in a shard."""


BUFFER = 1 << 20
"""Bytes to be written at once; by default Python would write each Example by itself."""


class TakenFace(NamedTuple):
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


_of_record = attrgetter(
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
)


def labels_of(record: FaceRecord, split: SplitSettings) -> tuple[Any, ...]:
    """The part of a row that follows from a record: its attributes, and the split and fold it belongs to."""
    return *_of_record(record), labels.split_of(record, split), labels.fold_of(record, split)


def row_of(face: TakenFace) -> tuple[Any, ...]:
    """A face as a row of a table: the attributes of its record, then its own; plain values, which pickle fast."""
    return *_of_record(face.record), *face[1:]


class Spool:
    """A new spool file. It has its name when it is whole; this ends in the number of its rows, to show how far the work is."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.file = str(folder / f"{uuid.uuid4().hex}.{rows}")
        self._stream = Path(f"{self.file}.partial").open("xb", BUFFER)  # noqa: SIM115 - `__exit__` closes it
        self._offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self._stream.close()
        if failed is None:
            Path(f"{self.file}.partial").rename(self.file)

    def add(self, example: bytes) -> tuple[str, int, int, int]:
        """Append an encoded Example; gives its file, offset, length and checksum."""
        offset = self._offset
        self._offset += self._stream.write(example)
        return self.file, offset, len(example), google_crc32c.value(example)


class Rows(NamedTuple):
    """How many rows a source has, and how many of them the label rules kept."""

    rows: int
    kept: int


def write_rows(folder: Path, rows: Rows) -> None:
    """Leave the number of rows in the spool folder."""
    partial = folder / "rows.json.partial"  # somebody may be looking just now
    partial.write_text(json.dumps(rows))
    partial.rename(folder / "rows.json")


def read_rows(folder: Path) -> Rows | None:
    """The number of rows; None while they are still being read."""
    file = folder / "rows.json"
    return Rows(*json.loads(file.read_text())) if file.exists() else None


def spooled_rows(folder: Path) -> int:
    """How many rows have been through the photos' stage."""
    return sum(int(file.suffix[1:]) for file in folder.iterdir() if file.suffix[1:].isdigit())


Place = tuple[str, int, int, int]
"""Where an encoded Example lies: the last four attributes of a `TakenFace`."""


def read_examples(places: Iterable[Place]) -> Iterator[bytes]:
    """The encoded Examples that lie in these places. A file is opened once in a row.

    Raises:
        VisageError: one is gone or damaged.
    """
    hint = "Delete what is damaged and run the ingest step again."
    for file, held in groupby(places, itemgetter(0)):
        try:
            with Path(file).open("rb") as opened:
                for _, offset, length, crc in held:
                    example = os.pread(opened.fileno(), length, offset)
                    if google_crc32c.value(example) != crc:
                        raise VisageError(f"{file} is damaged at byte {offset}.", hint)
                    yield example
        except OSError as error:
            raise VisageError(f"{file} cannot be read: {error.strerror}.", hint) from error
