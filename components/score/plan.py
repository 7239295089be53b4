"""The plan of a job: every file in its place, cut into parts that are scored and kept one by one.

It is written once, when the job starts, and read piece by piece: a part is a batch of an Arrow file, which costs no more to
reach in a plan of a million files than in one of ten.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from operator import attrgetter
from pathlib import Path

import pyarrow as pa

from components.storage.entry import Entry, Source
from schemas.arrow_files import ipc

PART = 500
"""Files in a part: about a second's work, which is what a killed job loses on each worker."""

PART_SEARCHED = {"fast": 20, "thorough": 5}
"""The same where faces are looked for, by detector: one or two seconds' work."""

_ENTRIES, _SOURCES = "entries.arrow", "sources.json"
_KINDS = {int: pa.int64(), str: pa.string(), bytes: pa.binary()}
_SCHEMA = pa.schema([(field.name, _KINDS[field.type]) for field in fields(Entry)])  # type: ignore[index]


@dataclass(frozen=True)
class Plan:
    """Where a plan lies, and how large it is.

    Attributes:
        folder: with the plan's files.
        sources: the folders and archives that the entries are in.
        files: number of entries.
        size: files in a part; the last one may have fewer.
    """

    folder: Path
    sources: tuple[Source, ...]
    files: int
    size: int

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.files // self.size)

    def files_in(self, parts: Collection[int]) -> int:
        """Number of files in some parts."""
        return sum(min(self.size, self.files - number * self.size) for number in parts)

    def part(self, number: int) -> list[Entry]:
        """The entries of a part."""
        with pa.memory_map(str(self.folder / _ENTRIES)) as file:
            batch = ipc.open_file(file).get_batch(number)
            return [Entry(*values) for values in zip(*(column.to_pylist() for column in batch.columns), strict=True)]

    def work_units(self, parts: Sequence[int], workers: int) -> list[list[int]]:
        """Parts to be done one after another by one worker.

        A part is a stretch by itself, unless it lies in a compressed tar: that can only be read from its beginning, so it is
        cut into no more work_units than there are workers.
        """
        work_units: list[list[int]] = []
        streams: dict[int, list[int]] = {}
        with pa.memory_map(str(self.folder / _ENTRIES)) as file:
            batches = ipc.open_file(file)
            for number in parts:
                source = batches.get_batch(number).column("source")[0].as_py()
                if self.sources[source].is_stream:
                    streams.setdefault(source, []).append(number)
                else:
                    work_units.append([number])
        for held in streams.values():
            length = -(-len(held) // workers)
            work_units += [held[start : start + length] for start in range(0, len(held), length)]
        return work_units


def part_size(detector: str | None) -> int:
    """Files in a part of a job with this detector, or without one."""
    return PART_SEARCHED[detector] if detector else PART


def write(
    folder: Path, listing: Iterable[Entry], sources: Sequence[Source], size: int, listed: Callable[[int], None]
) -> Plan:
    """Write the plan of a listing; it is whole, or not there.

    Args:
        folder: to write into.
        listing: all entries.
        sources: of the listing; read once the listing has come to its end.
        size: files in a part.
        listed: called with the number of files listed so far.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = 0
    entries, values = iter(listing), attrgetter(*_SCHEMA.names)
    with pa.OSFile(str(folder / _ENTRIES), "wb") as file, ipc.new_file(file, _SCHEMA) as writer:
        while held := list(islice(entries, size)):
            columns = zip(*map(values, held), strict=True)
            writer.write_batch(
                pa.record_batch([pa.array(c, k.type) for c, k in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)
            )
            files += len(held)
            listed(files)
    plan = {"files": files, "size": size, "sources": [asdict(source) for source in sources]}
    written = folder / f".{_SOURCES}"
    written.write_text(json.dumps(plan))
    written.rename(folder / _SOURCES)
    return read(folder)


def read(folder: Path) -> Plan:
    """The plan that was written into a folder.

    Raises:
        FileNotFoundError: there is none, or only the beginnings of one.
    """
    held = json.loads((folder / _SOURCES).read_text())
    return Plan(folder, tuple(Source(**source) for source in held["sources"]), held["files"], held["size"])
