"""The Beam job: records -> label rules -> photos -> duplicates -> splits -> shards, and rejects from everywhere.

Each stage hands on what it keeps, and what it rejects with a reason. What passes from stage to stage are blocks of records,
see `components.ingest.blocks`, and tables of faces, see `components.ingest.face_tables`. Every file is written in the order of a
digest, so the outcome does not depend on which worker did what, or when.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.shared import Shared

from components.beam_job import errors_reach_driver
from components.ingest import examples_index, labels
from components.ingest.blocks import groups, pack_records, pack_rejects, unpack_records, unpack_rejects
from components.ingest.duplicates import keep_one, keep_one_split, settled
from components.ingest.exclusion import Exclusion
from components.ingest.extract import Extracted, FaceExtractor
from components.ingest.face_cache import FaceCache
from components.ingest.face_tables import COLUMNS, pack_faces, places_of, table_of, unpack_faces
from components.ingest.faces import BUFFER, SPOOL, Rows, read_examples, write_rows
from components.ingest.processes import running
from components.ingest.settings import IngestSettings, Settings
from components.ingest.sources import photos_root, records
from components.photo import PhotoSettings
from components.storage.by_name import Files, open_files
from schemas.record import SPLITS, FaceRecord
from schemas.reject import Reject, write_rejects
from schemas.shard import Shard, file_name, write_index, write_record

BATCH = 256
"""Records whose photos one worker opens in a row; small enough that a few thousand photos spread evenly."""

FEW = 16
"""Fewer photos of a batch are not worth being handed to other processes."""

_Written = tuple[str, Shard, bytes]
"""A split, or `LEFT_OUT`; the index entry of one of its shards; and the shard's rows of the listing."""

LEFT_OUT = "left_out"
"""Where faces go instead of a split that are left out for others."""

REJECTS = "rejects"
KEPT = "kept"


def build(pipeline: beam.Pipeline, settings: Settings, output: Path, previous: Path | None = None) -> None:
    """Lay the ingest job out on a pipeline.

    It writes under `output`: the shards, their index and listing, the rejects,
    and in the spool folder how many rows there are.

    Args:
        pipeline: still empty.
        settings: of the step.
        output: folder of the artifact; the spool folder is there already.
        previous: artifact of an earlier ingest, whose faces are used again for photos that are the same.
    """
    ingest, root = settings.ingest, photos_root(settings.source)
    read = (
        pipeline
        | "start" >> beam.Impulse()
        | "records" >> beam.ParDo(ReadRecords(settings, output)).with_outputs(REJECTS, main=KEPT)
    )
    taken = (
        read[KEPT]
        | "same batch" >> beam.GroupByKey()  # spreads them over the workers
        | "photos" >> beam.ParDo(ExtractFaces(root, settings, output, previous)).with_outputs(REJECTS, main=KEPT)
    )
    dealt = (
        taken[KEPT]
        | "all faces" >> beam.GroupByKey()
        | "duplicates and splits" >> beam.ParDo(DeduplicateAndSplit(ingest)).with_outputs(REJECTS, main=KEPT)
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

    def __init__(self, settings: Settings, output: Path) -> None:
        self._source = settings.source
        self._ingest = settings.ingest
        self._output = output

    def process(self, _: bytes) -> Iterator[Any]:
        with errors_reach_driver(self._output):
            rows, kept = 0, 0
            exclusion = Exclusion.of(self._ingest.exclude, self._ingest.exclude_list)
            found = records(self._source)
            while block := list(islice(found, BATCH)):
                rejects = [self._reject(record, exclusion) for record in block]
                batch = [record for record, reject in zip(block, rejects, strict=True) if reject is None]
                rows, kept = rows + len(block), kept + len(batch)
                if batch:
                    yield batch[0].row, pack_records(batch)
                yield _rejected([reject for reject in rejects if reject])
            yield _rejected([])  # so that there is a file of rejects, if only an empty one
            write_rows(self._output / SPOOL, Rows(rows, kept))

    def _reject(self, record: FaceRecord, exclusion: Exclusion) -> Reject | None:
        found = labels.reject_of(record, self._ingest.filter)
        excluded = exclusion.reason(record) if found is None else ""
        if excluded:
            found = "excluded", excluded
        return None if found is None else Reject(record.source, record.path, record.person, *found, record.row)


class ExtractFaces(beam.DoFn):
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
        with errors_reach_driver(self._output):
            photos = self._shared_photos.acquire(self._open)
            self._taker = FaceExtractor(photos, photo, split, self._output / SPOOL)
            self._known = self._shared_known.acquire(lambda: FaceCache(self._previous, examples_index.making(photo)))
            self._processes = running(self._output)

    def _open(self) -> Files:
        settings = self._settings
        return open_files(
            self._root, settings.photo.max_bytes, settings.source.names_encoding, scratch=self._output / SPOOL
        )

    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        with errors_reach_driver(self._output):
            records = [record for batch in group[1] for record in unpack_records(batch)]
            if self._known:
                faces, records = self._known.take(records, self._taker)
                yield "", pack_faces(faces)
            if self._processes and len(records) >= FEW:
                yield from _handed_on(self._processes.take(records))
            elif records:
                yield from _handed_on(self._taker.take(records))


def _handed_on(taken: Extracted) -> Iterator[Any]:
    yield "", pack_faces(table_of(taken.rows))
    yield _rejected(taken.rejects)


class DeduplicateAndSplit(beam.DoFn):
    """Of all faces keeps each picture once and each photo in one split, and deals them out to the shards."""

    def __init__(self, ingest: IngestSettings) -> None:
        self._age_tolerance = ingest.age_tolerance
        self._shard_bytes = ingest.shard_mb * 1e6

    def process(self, group: tuple[str, Iterable[bytes]]) -> Iterator[Any]:
        taken = unpack_faces(group[1])
        single, twice = settled(taken, "pixels", partial(keep_one, age_tolerance=self._age_tolerance))
        kept, torn = settled(single, "sha256", keep_one_split)
        yield _rejected(twice + torn)
        for split in SPLITS:
            yield from self._shards(split, kept.filter(pc.field("split") == split))
        yield from self._shards(LEFT_OUT, taken.filter(pc.invert(pc.is_in(taken["row"], kept["row"].combine_chunks()))))

    def _shards(self, name: str, faces: pa.Table) -> Iterator[tuple[tuple[str, int, int], bytes]]:
        """The faces by shard, as (name, number, count): a range of digests each, which spreads evenly."""
        faces = faces.sort_by([("pixels", "ascending"), ("row", "ascending")])
        count = max(1, round(sum(faces["length"].to_pylist()) / self._shard_bytes))
        numbers = [int.from_bytes(digest[:8], "big") * count >> 64 for digest in faces["pixels"].to_pylist()]
        for number in sorted(set(numbers)):
            first, last = bisect_left(numbers, number), bisect_right(numbers, number)
            yield (name, number, count), pack_faces(faces.slice(first, last - first))


class WriteShard(beam.DoFn):
    """Writes a shard, in the order of the faces' digests; gives its entry of the index and its rows of the listing."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def process(self, group: tuple[tuple[str, int, int], Iterable[bytes]]) -> Iterator[tuple[str, _Written]]:
        (split, number, count), blocks = group
        faces = unpack_faces(blocks)
        name = file_name(split, number, count)
        with errors_reach_driver(self._output):
            path = self._output / name
            path.parent.mkdir(exist_ok=True)
            with path.with_suffix(".partial").open("wb", BUFFER) as file:
                offsets = [write_record(file, example) for example in read_examples(places_of(faces))]
            path.with_suffix(".partial").rename(path)
            size = path.stat().st_size
        counted = (_count(faces[label].to_pylist()) for label in ("age", "age_class", "gender"))
        faces = faces.set_column(_FILE, "file", [[name] * len(faces)]).set_column(_FILE + 1, "offset", [offsets])
        yield "", (split, Shard(name, len(faces), size, *counted), pack_faces(faces))


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
        written = groups(sorted(group[1], key=lambda entry: entry[1].file), itemgetter(0))
        shards = {split: [shard for _, shard, _ in written[split]] for split in SPLITS if split in written}
        made_by = examples_index.making(self._photo)
        with errors_reach_driver(self._output):
            write_index(self._output, shards)
            for file, splits in ((examples_index.LISTING, SPLITS), (examples_index.LISTING_LEFT_OUT, (LEFT_OUT,))):
                tables = (unpack_faces([block]) for split in splits for *_, block in written.get(split, ()))
                if any(split in written for split in splits):
                    examples_index.write_listing(self._output / file, tables, made_by)
        yield from ()


class WriteRejects(beam.DoFn):
    """Writes all rejects in the order of the source's rows."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def process(self, group: tuple[str, Iterable[bytes]]) -> Iterator[None]:
        rejects = sorted(chain.from_iterable(map(unpack_rejects, group[1])), key=attrgetter("row"))
        with errors_reach_driver(self._output):
            write_rejects(self._output / "rejects.parquet", rejects)
        yield from ()


def _rejected(rejects: list[Reject]) -> Any:
    return beam.pvalue.TaggedOutput(REJECTS, ("", pack_rejects(rejects)))
