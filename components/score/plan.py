"""The plan of a job: every file in its place, cut into parts that are scored and kept one by one.

It is written once, when the job starts, as files of some thousand entries each, of which a worker reads the one that its part
is in. Neither the driver nor a worker ever holds more than one of them, however many files are scored.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from itertools import islice
from operator import attrgetter

import pyarrow as pa

from components.storage import files
from components.storage.entry import Entry, Source
from components.storage.names import joined
from components.storage.remote import explaining
from schemas.arrow_files import ipc

PART = 500
"""Files in a part: about a second's work, which is what a killed job loses on each worker."""

PART_SEARCHED = {"fast": 20, "thorough": 5}
"""The same where faces are looked for, by detector: one or two seconds' work."""

ENTRIES = 5000
"""Entries in a file of the plan, at most: half a megabyte or so, little beside the photos of a part."""

Stretch = tuple[int, int]
"""Parts that follow one another: the first one, and the one after the last."""

_WHOLE = "plan.json"
_KINDS = {int: pa.int64(), str: pa.string(), bytes: pa.binary()}
_SCHEMA = pa.schema([(field.name, _KINDS[field.type]) for field in fields(Entry)])  # type: ignore[index]


@dataclass(frozen=True)
class Plan:
    """Where a plan lies, and how large it is.

    Attributes:
        folder: folder or URL with the plan's files.
        sources: the folders and archives that the entries are in.
        files: number of entries.
        size: files in a part; the last one may have fewer.
        parts_a_file: parts in a file of the plan; the last one may have fewer.
        streams: the parts of each compressed tar.
    """

    folder: str
    sources: tuple[Source, ...]
    files: int
    size: int
    parts_a_file: int
    streams: tuple[Stretch, ...]

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.files // self.size)

    def files_in(self, parts: Iterable[int]) -> int:
        """Number of files in some parts."""
        return sum(min(self.size, self.files - number * self.size) for number in parts)

    def part(self, number: int) -> list[Entry]:
        """The entries of a part.

        Raises:
            VisageError: the plan cannot be read.
        """
        file, batch = divmod(number, self.parts_a_file)
        with explaining(self.folder):
            data = _read(_entries(self.folder, file))
        record_batch = ipc.open_file(pa.BufferReader(data)).get_batch(batch)
        return [Entry(*values) for values in zip(*(column.to_pylist() for column in record_batch.columns), strict=True)]

    def stretches(self) -> Iterator[Stretch]:
        """All parts but those of compressed tars, in stretches that lie in one file of the plan each."""
        first = 0
        for start, stop in [*self.streams, (self.parts, self.parts)]:
            while first < start:
                end = min(start, (first // self.parts_a_file + 1) * self.parts_a_file)
                yield first, end
                first = end
            first = stop

    def of_streams(self, workers: int) -> Iterator[Stretch]:
        """The parts of compressed tars, in stretches to be done by one worker each, one part after another.

        Such a tar can only be read from its beginning, so it is cut into no more stretches than there are workers.
        """
        for start, stop in self.streams:
            length = -(-(stop - start) // workers)
            yield from ((first, min(first + length, stop)) for first in range(start, stop, length))


def part_size(detector: str | None) -> int:
    """Files in a part of a job with this detector, or without one."""
    return PART_SEARCHED[detector] if detector else PART


def write(
    folder: str, listing: Iterable[Entry], sources: Sequence[Source], size: int, listed: Callable[[int], None]
) -> Plan:
    """Write the plan of a listing; it is whole, or not there.

    Args:
        folder: folder or URL to write into.
        listing: all entries.
        sources: of the listing; read once the listing has come to its end.
        size: files in a part.
        listed: called with the number of files listed so far.

    Raises:
        OSError: it cannot be written.
    """
    parts_a_file = max(1, ENTRIES // size)
    entries, streams = iter(listing), _Streams(sources)
    count = parts = 0
    while chunk := list(islice(entries, size * parts_a_file)):
        written = pa.BufferOutputStream()
        with ipc.new_file(written, _SCHEMA) as writer:
            for first in range(0, len(chunk), size):
                writer.write_batch(_batch(chunk[first : first + size]))
                streams.see(parts, chunk[first].source)
                parts += 1
        files.write_bytes(_entries(folder, (parts - 1) // parts_a_file), written.getvalue().to_pybytes())
        count += len(chunk)
        listed(count)
    plan = Plan(folder, tuple(sources), count, size, parts_a_file, tuple(streams.stretches))
    files.write_bytes(joined(folder, _WHOLE), json.dumps(asdict(plan)).encode())
    return plan


def read(folder: str) -> Plan:
    """The plan that was written into a folder or under a URL.

    Raises:
        FileNotFoundError: there is none, or only the beginnings of one.
        OSError: it cannot be read.
    """
    document = json.loads(files.read_bytes(joined(folder, _WHOLE)))
    sources = tuple(Source(**source) for source in document["sources"])
    streams = tuple((start, stop) for start, stop in document["streams"])
    return Plan(folder, sources, document["files"], document["size"], document["parts_a_file"], streams)


class _Streams:
    """The parts of each compressed tar, as they are seen."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._last = -1
        self.stretches: list[Stretch] = []

    def see(self, part: int, source: int) -> None:
        """A part whose first entry is of this source; parts come in their order."""
        if not self._sources[source].is_stream:
            return
        if source == self._last and self.stretches[-1][1] == part:
            self.stretches[-1] = self.stretches[-1][0], part + 1
        else:
            self.stretches.append((part, part + 1))
        self._last = source


def _batch(entries: Sequence[Entry]) -> pa.RecordBatch:
    columns = zip(*map(attrgetter(*_SCHEMA.names), entries), strict=True)
    return pa.record_batch([pa.array(c, k.type) for c, k in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)


def _entries(folder: str, file: int) -> str:
    return joined(folder, f"{file:08d}.arrow")


@lru_cache(maxsize=8)
def _read(place: str) -> bytes:
    """A file of a plan, kept for the parts after this one."""
    return files.read_bytes(place)
