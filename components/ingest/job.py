"""The Beam job: records -> label rules -> photos -> duplicates -> splits -> shards, and rejects from everywhere.

Each stage hands on what it keeps, and what it rejects with a reason. What passes from stage to stage are blocks of records,
see `components.ingest.blocks`, and tables of faces, see `components.ingest.tables`. Every file is written in the order of a
digest, so the outcome does not depend on which worker did what, or when.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow.compute as pc
from apache_beam.utils.shared import Shared

from components.beam import explained
from components.ingest import labels, listing
from components.ingest.blocks import groups, pack_records, pack_rejects, unpack_records, unpack_rejects
from components.ingest.duplicates import keep_one, keep_one_split, settled
from components.ingest.faces import BUFFER, SPOOL, Rows, read_example, write_rows
from components.ingest.photos import open_photos
from components.ingest.processes import running
from components.ingest.settings import IngestSettings, Settings
from components.ingest.sources import photos_root, records
from components.ingest.sources.settings import SourceSettings
from components.ingest.tables import COLUMNS, pack_faces, table_of, unpack_faces
from components.ingest.take import FaceTaker, Taken
from components.photo import PhotoSettings
from schemas.record import SPLITS, FaceRecord
from schemas.reject import Reject, write_rejects
from schemas.shard import Shard, file_name, write_index, write_record

BATCH = 128
"""Records whose photos one worker opens in a row; small enough that a few thousand photos spread evenly."""

FEW = 16
"""Fewer photos of a batch are not worth being handed to another process."""

_Written = tuple[str, Shard, bytes]
"""A split, the index entry of one of its shards, and the shard's rows of the listing."""

REJECTS = "rejects"
KEPT = "kept"


def build(pipeline: beam.Pipeline, settings: Settings, output: Path, previous: Path | None = None) -> None:
    """Lay the ingest job out on a pipeline.

    It writes under `output`: the shards, their index and listing, the rejects, and in the spool folder how many rows there are.

    Args:
        pipeline: still empty.
        settings: of the step.
        output: folder of the artifact; the spool folder is there already.
        previous: artifact of an earlier ingest, whose faces are used again for photos that are the same.
    """
    ingest, root = settings.ingest, photos_root(settings.source)
    read = (
        pipeline
        | "source" >> beam.Create([settings.source])
        | "records" >> beam.ParDo(ReadRecords(ingest, output)).with_outputs(REJECTS, main=KEPT)
    )
    taken = (
        read[KEPT]
        | "spread" >> beam.Reshuffle()
        | "photos" >> beam.ParDo(TakeFaces(root, settings, output, previous)).with_outputs(REJECTS, main=KEPT)
    )
    dealt = (
        taken[KEPT]
        | "all faces" >> beam.GroupByKey()
        | "duplicates and splits" >> beam.ParDo(DealOut(ingest)).with_outputs(REJECTS, main=KEPT)
    )
    _ = (
        dealt[KEPT]
        | "same shard" >> beam.GroupByKey()
        | "shards" >> beam.ParDo(WriteShard(output))
        | "all shards" >> beam.GroupByKey()
        | "index" >> beam.ParDo(WriteIndex(settings.photo, output))
    )
    _ = (
        (read[REJECTS], taken[REJECTS], dealt[REJECTS])
        | "from everywhere" >> beam.Flatten()
        | "all rejects" >> beam.GroupByKey()
        | "rejects" >> beam.ParDo(WriteRejects(output))
    )


class ReadRecords(beam.DoFn):
    """The records of a source that the label rules keep; rejects of the others."""

    def __init__(self, ingest: IngestSettings, output: Path) -> None:
        self._ingest = ingest
        self._output = output

    def process(self, source: SourceSettings) -> Iterator[Any]:
        with explained(self._output):
            rows, kept = 0, 0
            found = records(source)
            while block := list(islice(found, BATCH)):
                rejects = [self._reject(record) for record in block]
                batch = [record for record, reject in zip(block, rejects, strict=True) if reject is None]
                rows, kept = rows + len(block), kept + len(batch)
                if batch:
                    yield pack_records(batch)
                yield _rejected([reject for reject in rejects if reject])
            yield _rejected([])  # so that there is a file of rejects, if only an empty one
            write_rows(self._output / SPOOL, Rows(rows, kept))

    def _reject(self, record: FaceRecord) -> Reject | None:
        found = labels.reject_of(record, self._ingest.filter)
        if found is None and any(
            fnmatchcase(name, pattern) for pattern in self._ingest.exclude for name in (record.person, record.path)
        ):
            found = "excluded", "named in ingest.exclude"
        return None if found is None else Reject(record.source, record.path, record.person, *found, record.row)


class TakeFaces(beam.DoFn):
    """Takes the faces of a batch of records: those known from an earlier ingest, and the others from their photos."""

    def __init__(self, root: str, settings: Settings, output: Path, previous: Path | None) -> None:
        self._root = root
        self._settings = settings
        self._output = output
        self._previous = previous
        self._shared_photos = Shared()
        self._shared_known = Shared()

    def setup(self) -> None:
        photo, split = self._settings.photo, self._settings.ingest.split
        with explained(self._output):
            photos = self._shared_photos.acquire(lambda: open_photos(self._root, photo.max_bytes))
            self._taker = FaceTaker(photos, photo, split, self._output / SPOOL)
            self._known = self._shared_known.acquire(lambda: listing.Known(self._previous, listing.making(photo)))
            self._processes = running(self._output)

    def process(self, batch: bytes) -> Iterator[Any]:
        with explained(self._output):
            records = unpack_records(batch)
            if self._known:
                taken, records = self._taker.take_again(records, self._known)
                yield from _handed_on(taken)
            if self._processes and len(records) >= FEW:
                yield from _handed_on(self._processes.take(pack_records(records)))
            elif records:
                yield from _handed_on(self._taker.take(records))


def _handed_on(taken: Taken) -> Iterator[Any]:
    yield "", pack_faces(table_of(taken.rows))
    yield _rejected(taken.rejects)


class DealOut(beam.DoFn):
    """Of all faces keeps each picture once and each photo in one split, and deals them out to the shards."""

    def __init__(self, ingest: IngestSettings) -> None:
        self._age_tolerance = ingest.age_tolerance
        self._shard_bytes = ingest.shard_mb * 1e6

    def process(self, group: tuple[str, Iterable[bytes]]) -> Iterator[Any]:
        faces, twice = settled(unpack_faces(group[1]), "pixels", partial(keep_one, age_tolerance=self._age_tolerance))
        faces, torn = settled(faces, "sha256", keep_one_split)
        yield _rejected(twice + torn)
        for split in SPLITS:
            held = faces.filter(pc.field("split") == split).sort_by("pixels")
            count = max(1, round(sum(held["length"].to_pylist()) / self._shard_bytes))
            # A range of digests each, which spreads evenly.
            numbers = [int.from_bytes(digest[:8], "big") * count >> 64 for digest in held["pixels"].to_pylist()]
            for number in sorted(set(numbers)):
                first, last = bisect_left(numbers, number), bisect_right(numbers, number)
                yield (split, number, count), pack_faces(held.slice(first, last - first))


class WriteShard(beam.DoFn):
    """Writes a shard, in the order of the faces' digests; gives its entry of the index and its rows of the listing."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def process(self, group: tuple[tuple[str, int, int], Iterable[bytes]]) -> Iterator[tuple[str, _Written]]:
        (split, number, count), blocks = group
        faces = unpack_faces(blocks)
        name = file_name(split, number, count)
        with explained(self._output):
            path = self._output / name
            path.parent.mkdir(exist_ok=True)
            places = zip(*(faces[part].to_pylist() for part in _PLACE), strict=True)
            with path.with_suffix(".partial").open("wb", BUFFER) as file:
                offsets = [write_record(file, read_example(*place)) for place in places]
            path.with_suffix(".partial").rename(path)
            size = path.stat().st_size
        counted = (_count(faces[label].to_pylist()) for label in ("age", "age_class", "gender"))
        faces = faces.set_column(_FILE, "file", [[name] * len(faces)]).set_column(_FILE + 1, "offset", [offsets])
        yield "", (split, Shard(name, len(faces), size, *counted), pack_faces(faces))


_PLACE = ("file", "offset", "length", "crc")
_FILE = COLUMNS.names.index("file")


def _count(values: Iterable[Any]) -> dict[Any, int]:
    counted = Counter(value for value in values if value is not None)
    return {value: counted[value] for value in sorted(counted)}


class WriteIndex(beam.DoFn):
    """Writes the index of all shards and the listing of all examples."""

    def __init__(self, photo: PhotoSettings, output: Path) -> None:
        self._photo = photo
        self._output = output

    def process(self, group: tuple[str, Iterable[_Written]]) -> Iterator[None]:
        written = sorted(group[1], key=lambda entry: (SPLITS.index(entry[0]), entry[1].file))
        with explained(self._output):
            shards = groups(written, lambda entry: entry[0])
            write_index(self._output, {split: [entry[1] for entry in entries] for split, entries in shards.items()})
            tables = (unpack_faces([block]) for *_, block in written)
            listing.write_listing(self._output, tables, listing.making(self._photo))
        yield from ()


class WriteRejects(beam.DoFn):
    """Writes all rejects in the order of the source's rows."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def process(self, group: tuple[str, Iterable[bytes]]) -> Iterator[None]:
        rejects = sorted(chain.from_iterable(map(unpack_rejects, group[1])), key=attrgetter("row"))
        with explained(self._output):
            write_rejects(self._output / "rejects.parquet", rejects)
        yield from ()


def _rejected(rejects: list[Reject]) -> Any:
    return beam.pvalue.TaggedOutput(REJECTS, ("", pack_rejects(rejects)))
