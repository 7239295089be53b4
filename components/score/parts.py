"""What is kept of a part: one file, which is whole or not there. Its being there says that the part is done.

In it are three Arrow streams, one after another: the scores, with the counts as a note on their schema; the rejects; and the
pictures for the summary page. A part that two workers did at once, or that was done again, is there once all the same.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields

import pyarrow as pa

from components.storage import files
from components.storage.names import joined
from schemas.arrow_files import ipc
from schemas.reject import Reject
from schemas.reject import arrow_schema as rejects_schema

_COUNTS = b"visage.counts"
_ENDING = ".arrow"
_PICTURES = pa.schema([("jpeg", pa.binary())])


@dataclass(frozen=True)
class Counts:
    """What became of some photos: `photos` is the sum of `scored`, `without_face` and `rejected`."""

    photos: int = 0
    scored: int = 0
    without_face: int = 0
    rejected: int = 0
    faces: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Counts)))


@dataclass(frozen=True)
class Part:
    """What came out of a part.

    Attributes:
        scores: rows as in `schemas.score`.
        rejects: rows as in `schemas.reject`.
        pictures: some of the scored photos, JPEG.
        counts: what became of its photos.
    """

    scores: pa.Table
    rejects: pa.Table
    pictures: tuple[bytes, ...]
    counts: Counts

    @classmethod
    def of(cls, scores: pa.Table, rejects: Sequence[Reject], pictures: Sequence[bytes], counts: Counts) -> "Part":
        """A part whose rejects are not in a table yet."""
        table = pa.Table.from_pylist([asdict(reject) for reject in rejects], schema=rejects_schema())
        return cls(scores, table, tuple(pictures), counts)

    def as_bytes(self) -> bytes:
        """For `from_bytes`."""
        pictures = pa.table({"jpeg": list(self.pictures)}, schema=_PICTURES)
        noted = self.scores.replace_schema_metadata({_COUNTS: json.dumps(asdict(self.counts))})
        written = pa.BufferOutputStream()
        for table in (noted, self.rejects, pictures):
            with ipc.new_stream(written, table.schema) as stream:
                stream.write_table(table)
        return written.getvalue().to_pybytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Part":
        """A part as it was kept."""
        source = pa.BufferReader(data)
        scores, rejects, pictures = (ipc.open_stream(source).read_all() for _ in range(3))
        counts = Counts(**json.loads(scores.schema.metadata[_COUNTS]))
        return cls(scores.replace_schema_metadata(None), rejects, tuple(pictures["jpeg"].to_pylist()), counts)


def keep(folder: str, number: int, part: Part) -> None:
    """Keep what came out of a part in a folder or under a URL.

    Raises:
        OSError: it cannot be written.
    """
    files.write_bytes(_place(folder, number), part.as_bytes())


def is_done(folder: str, number: int) -> bool:
    """Whether a part is kept already.

    Raises:
        OSError: a store does not answer, or refuses.
    """
    return files.exists(_place(folder, number))


def done(folder: str) -> set[int]:
    """Numbers of the parts that are kept.

    Raises:
        OSError: the folder cannot be read.
    """
    return {int(name.removesuffix(_ENDING)) for name in files.file_names(folder) if name.endswith(_ENDING)}


def read(folder: str, numbers: Iterable[int]) -> Iterator[Part]:
    """Parts as they were kept, in the order of the numbers; a few of them are in memory at a time.

    Raises:
        FileNotFoundError: one is not there.
        OSError: one cannot be read.
    """
    return map(Part.from_bytes, files.read_each(_place(folder, number) for number in numbers))


def _place(folder: str, number: int) -> str:
    return joined(folder, f"{number:08d}{_ENDING}")
