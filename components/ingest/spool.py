"""The spool: files of the staging place in which encoded Examples lie from the photo to the shard.

Each has a name that no other has, and is there when it is whole: a bundle that is tried again, or done twice, leaves a file to
which nothing refers.
"""

import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from components.ingest.faces import Extraction, Place, Row, by_split_and_picture
from components.storage import files, names
from schemas.error import VisageError

SPOOL = "spool"

ENOUGH = 32_000_000
"""Bytes of Examples in a spool file of a store. Each shard reads its part of every file, so they must not be many."""

_GAP = 64_000
"""Bytes that lie between two Examples and are rather read than asked around."""

_AT_ONCE = 8
"""Requests to a store beside each other."""


class Spool:
    """Examples on their way into spool files; for one thread.

    In a file they lie by split and digest, so that those of one shard lie together.

    Args:
        staging: place of the job.
        enough: bytes with which a file `is_full`; fewer are kept in memory meanwhile.
    """

    def __init__(self, staging: str, enough: int) -> None:
        self._folder = names.joined(staging, SPOOL)
        self._enough = enough
        self._clear()

    def _clear(self) -> None:
        self._rows: list[Row] = []
        self._examples: list[bytes] = []
        self._bytes = self._records = 0

    def add(self, extraction: Extraction, records: int) -> None:
        """Add what was taken; `records` is of how many records, known faces and rejects counted, to show how far the work is."""
        self._records += records
        self._rows += extraction.rows
        self._examples += extraction.examples
        self._bytes += sum(map(len, extraction.examples))

    @property
    def is_full(self) -> bool:
        return self._bytes >= self._enough

    def flush(self) -> list[Row]:
        """Write what was added; gives the faces with the places where their Examples lie now."""
        faces: list[Row] = []
        if self._records:
            file, offset = f"{self._folder}/{uuid.uuid4().hex}.{self._records}", 0
            with files.new_file(file) as written:
                for number in sorted(
                    range(len(self._rows)), key=lambda number: by_split_and_picture(self._rows[number])
                ):
                    example = self._examples[number]
                    written.write(example)
                    place: Place = file, offset, len(example), google_crc32c.value(example)
                    faces.append((*self._rows[number], *place))
                    offset += len(example)
        self._clear()
        return faces


def scratch_folder(staging: str) -> Path | None:
    """Where what has to be kept of an archive lies, for all workers that see it; None if each keeps its own."""
    if names.is_remote(staging):
        return None
    folder = Path(staging) / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def spooled_records(staging: str) -> int:
    """How many records have been through the photos' stage; those of a bundle that was done twice count twice."""
    names_of_files = files.file_names(names.joined(staging, SPOOL))
    return sum(int(name.rpartition(".")[2]) for name in names_of_files)


def read_examples(places: Iterable[Place]) -> Iterator[bytes]:
    """The encoded Examples that lie in these places, in their order.

    Those of 32 MB are read at a time. What lies together in a file is read together, from a store several such pieces at once.

    Raises:
        VisageError: one is gone or damaged.
    """
    some: list[Place] = []
    size = 0
    for place in places:
        some.append(place)
        size += place[2]
        if size >= ENOUGH:
            yield from _read(some)
            some, size = [], 0
    yield from _read(some)


class _Piece(NamedTuple):
    """A piece of a file: where it begins and ends, and which of the wanted Examples lie in it."""

    file: str
    first: int
    last: int
    numbers: list[int]


def _read(places: list[Place]) -> Iterator[bytes]:
    pieces = _pieces(places)
    if pieces and names.is_remote(pieces[0].file):
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            contents = list(pool.map(_read_piece, pieces))
    else:
        contents = list(map(_read_piece, pieces))
    examples: list[bytes] = [b""] * len(places)
    for piece, data in zip(pieces, contents, strict=True):
        for number in piece.numbers:
            file, offset, length, crc = places[number]
            example = data[offset - piece.first : offset - piece.first + length]
            if google_crc32c.value(example) != crc:
                raise VisageError(f"{file} is damaged at byte {offset}.", _HINT)
            examples[number] = example
    yield from examples


def _pieces(places: list[Place]) -> list[_Piece]:
    pieces: list[_Piece] = []
    for number, (file, offset, length, _) in sorted(enumerate(places), key=itemgetter(1)):
        before = pieces[-1] if pieces else None
        if before and before.file == file and offset - before.last <= _GAP:
            pieces[-1] = before._replace(last=max(before.last, offset + length))
            before.numbers.append(number)
        else:
            pieces.append(_Piece(file, offset, offset + length, [number]))
    return pieces


def _read_piece(piece: _Piece) -> bytes:
    try:
        return files.read_range(piece.file, piece.first, piece.last - piece.first)
    except OSError as error:
        raise VisageError(f"{piece.file} cannot be read: {error.strerror or error}.", _HINT) from error


_HINT = "Delete what is damaged and run the ingest step again."
