"""Faces on their way from the photo to the shard: what is known of each, and where its JPEG lies meanwhile.

JPEGs do not travel through Beam. Workers append them to spool files in the output folder, and what is grouped and sorted
are descriptions of some hundred bytes. So memory does not grow with the pictures.
"""

import os
import uuid
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import google_crc32c

from schemas.error import VisageError
from schemas.record import FaceRecord

SPOOL = ".spool"
"""Folder in the output where faces lie until they are in a shard."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a JPEG lies: a part of a file, and its CRC-32C."""

    file: str
    offset: int
    length: int
    crc: int


@dataclass(frozen=True, slots=True)
class TakenFace:
    """A face that was taken from a photo.

    Attributes:
        record: its row of the source.
        sha256: hex digest of the photo file.
        pixels: SHA-256 of the face's pixels; the same picture has the same one, however it was stored.
        height: of the face, pixels.
        width: of the face, pixels.
        place: where its JPEG lies.
    """

    record: FaceRecord
    sha256: str
    pixels: bytes
    height: int
    width: int
    place: Place


_record_values = attrgetter(*(field.name for field in fields(FaceRecord)))


def pack_record(record: FaceRecord) -> tuple[Any, ...]:
    """A record as a plain tuple, which is pickled several times faster."""
    return _record_values(record)


def unpack_record(values: tuple[Any, ...]) -> FaceRecord:
    return FaceRecord(*values)


def pack_face(face: TakenFace) -> tuple[Any, ...]:
    """A face as a plain tuple, which is pickled several times faster."""
    place = face.place
    return (
        pack_record(face.record),
        face.sha256,
        face.pixels,
        face.height,
        face.width,
        (place.file, place.offset, place.length, place.crc),
    )


def unpack_face(values: tuple[Any, ...]) -> TakenFace:
    record, sha256, pixels, height, width, place = values
    return TakenFace(FaceRecord(*record), sha256, pixels, height, width, Place(*place))


class Spool:
    """A new spool file. Its name ends in the number of rows whose faces it is to hold, for those who watch the progress."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._final = folder / f"{uuid.uuid4().hex}.{rows}"
        self._partial = self._final.with_suffix(".partial")
        self._file = self._partial.open("xb")

    def add(self, jpeg: bytes) -> Place:
        offset = self._file.tell()
        self._file.write(jpeg)
        return Place(str(self._final), offset, len(jpeg), google_crc32c.value(jpeg))

    def close(self) -> None:
        self._file.close()
        self._partial.rename(self._final)


def spooled_rows(folder: Path) -> int:
    """How many rows have been through the photos' stage."""
    return sum(int(file.suffix[1:]) for file in folder.iterdir() if file.suffix[1:].isdigit())


def read_jpeg(place: Place) -> bytes:
    """The JPEG that lies at a place.

    Raises:
        VisageError: another one lies there now.
    """
    file = os.open(place.file, os.O_RDONLY)
    try:
        jpeg = os.pread(file, place.length, place.offset)
    finally:
        os.close(file)
    if google_crc32c.value(jpeg) != place.crc:
        raise VisageError(f"{place.file} is damaged at byte {place.offset}.", "Run it again with --force ingest.")
    return jpeg
