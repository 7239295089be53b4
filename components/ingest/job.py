"""The Beam job: records -> label rules -> photos -> duplicates -> splits -> shards, and rejects from everywhere.

Each stage hands on what it keeps, and what it rejects with a reason. What passes from stage to stage are blocks of records,
see `components.ingest.blocks`, and tables of faces, see `components.ingest.face_tables`; what is large lies in files of the
staging place, which is all that workers share. Faces are dealt out by ranges of a digest, so that no worker holds more than some
ten thousand of them; every file is written in the order of a digest or of the rows. So the outcome does not depend on which
worker did what, or when, or twice.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared

from components.beam_job import errors_reach_driver
from components.beam_job.first_look import start
from components.ingest import labels
from components.ingest.blocks import groups, pack_records, pack_rejects, unpack_records, unpack_rejects
from components.ingest.duplicates import keep_one, keep_one_split, settled
from components.ingest.exclusion import Exclusion
from components.ingest.extract import FaceExtractor
from components.ingest.face_cache import FaceCache
from components.ingest.face_tables import pack_faces, parts_of, table_of, unpack_faces
from components.ingest.faces import Rows, write_rows
from components.ingest.pieces import LEFT_OUT, Piece, write_contents, write_rejects_piece, write_shard
from components.ingest.processes import running
from components.ingest.settings import IngestSettings, Settings
from components.ingest.sources import photos_root, records
from components.ingest.spool import ENOUGH, Spool, scratch_folder
from components.storage import names
from components.storage.by_name import Files, open_files
from schemas.record import SPLITS, FaceRecord
from schemas.reject import Reject

BATCH = 256
"""Records whose photos one worker opens in a row; small enough that a few thousand photos spread evenly."""

FEW = 16
"""Fewer photos of a batch are not worth being handed to other processes."""

RANGE = 1 << 15
"""Rows that one worker holds at once, about: some 20 MB. A source with fewer is one range."""

REJECTS = "rejects"
LEFT = "left"
COUNTED = "counted"
KEPT = "kept"


def build(pipeline: beam.Pipeline, settings: Settings, staging: str, with_known: bool = False) -> None:
    """Lay the ingest job out on a pipeline.

    It leaves in the staging place the pieces of an artifact, and what they are; `components.ingest.assemble` makes one of them.

    Args:
        pipeline: still empty.
        settings: of the step; where its paths are not URLs they are absolute.
        staging: folder or URL of this job's own.
        with_known: whether `face_cache.stage_known` has left faces there that may be used again.
    """
    ingest, root = settings.ingest, photos_root(settings.source)
    places = [settings.source.path, root, *([ingest.exclude_list] if ingest.exclude_list else [])]
    read = (
        pipeline
        | "start" >> start(settings.beam, "ingest", staging, places)
        | "records" >> beam.ParDo(ReadRecords(settings, staging)).with_outputs(REJECTS, COUNTED, main=KEPT)
    )
    kept_rows = beam.pvalue.AsSingleton(read[COUNTED] | "rows kept" >> beam.Map(lambda rows: rows[1]))
    extracted = (
        read[KEPT]
        | "same batch" >> beam.GroupByKey()  # spreads them over the workers
        | "photos" >> beam.ParDo(ExtractFaces(root, settings, staging, with_known)).with_outputs(REJECTS, main=KEPT)
    )
    single = (
        extracted[KEPT]
        | "by picture" >> beam.ParDo(ByPicture(), kept_rows)
        | "same pictures" >> beam.GroupByKey()
        | "one of a picture" >> beam.ParDo(KeepOne(ingest), kept_rows).with_outputs(REJECTS, LEFT, main=KEPT)
    )
    whole = (
        single[KEPT]
        | "same photos" >> beam.GroupByKey()
        | "one split a photo" >> beam.ParDo(KeepOneSplit()).with_outputs(REJECTS, LEFT, main=KEPT)
    )
    dealt = (single[LEFT], whole[LEFT], whole[KEPT]) | "for shards" >> beam.Flatten()
    sizes = dealt | "sizes" >> beam.Map(lambda part: part[:2]) | "size of a split" >> beam.CombinePerKey(sum)
    shards = (
        dealt
        | "into shards" >> beam.ParDo(IntoShards(ingest), beam.pvalue.AsDict(sizes))
        | "same shard" >> beam.GroupByKey()
        | "shards" >> beam.ParDo(WriteShard(staging))
    )
    rejects = (
        (read[REJECTS], extracted[REJECTS], single[REJECTS], whole[REJECTS])
        | "from everywhere" >> beam.Flatten()
        | "same rows" >> beam.GroupByKey()
        | "rejects" >> beam.ParDo(WriteRejects(staging))
    )
    _ = (
        (read[COUNTED] | "rows" >> beam.Map(lambda rows: ("", rows)), shards, rejects)
        | "all that is written" >> beam.Flatten()
        | "together" >> beam.GroupByKey()
        | "contents" >> beam.ParDo(WriteContents(staging))
    )


class ReadRecords(beam.DoFn):
    """The records of a source that the label rules keep; rejects of the others; and at the end how many there were."""

    def __init__(self, settings: Settings, staging: str) -> None:
        self._source = settings.source
        self._ingest = settings.ingest
        self._staging = staging

    def process(self, _: bytes) -> Iterator[Any]:
        with errors_reach_driver(self._staging):
            rows, kept = 0, 0
            exclusion = Exclusion.of(self._ingest.exclude, self._ingest.exclude_list)
            all_records = records(self._source)
            while block := list(islice(all_records, BATCH)):
                rejects = [self._reject(record, exclusion) for record in block]
                batch = [record for record, reject in zip(block, rejects, strict=True) if reject is None]
                rows, kept = rows + len(block), kept + len(batch)
                if batch:
                    yield batch[0].row, pack_records(batch)
                yield from _rejected([reject for reject in rejects if reject])
            write_rows(self._staging, Rows(rows, kept))
            yield beam.pvalue.TaggedOutput(COUNTED, (rows, kept))

    def _reject(self, record: FaceRecord, exclusion: Exclusion) -> Reject | None:
        rejection = labels.reject_of(record, self._ingest.filter)
        excluded = exclusion.reason(record) if rejection is None else ""
        if excluded:
            rejection = "excluded", excluded
        return None if rejection is None else Reject(record.source, record.path, record.person, *rejection, record.row)


class ExtractFaces(beam.DoFn):
    """Takes the faces of a batch of records: those known from an earlier ingest, and the others from their photos."""

    def __init__(self, root: str, settings: Settings, staging: str, with_known: bool) -> None:
        self._root = root
        self._settings = settings
        self._staging = staging
        self._with_known = with_known
        self._shared_photos = Shared()
        self._shared_cache = Shared()

    def setup(self) -> None:
        with errors_reach_driver(self._staging):
            photos = self._shared_photos.acquire(self._open)
            self._extractor = FaceExtractor(photos, self._settings.photo, self._settings.ingest.split)
            self._cache = self._shared_cache.acquire(lambda: FaceCache(self._staging if self._with_known else ""))
            self._processes = running(self._staging)

    def _open(self) -> Files:
        source = self._settings.source
        return open_files(
            self._root, self._settings.photo.max_bytes, source.names_encoding, scratch_folder(self._staging)
        )

    def start_bundle(self) -> None:
        self._spool = Spool(self._staging, ENOUGH if names.is_remote(self._staging) else 0)

    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        with errors_reach_driver(self._staging):
            records = [record for batch in group[1] for record in unpack_records(batch)]
            _opened.inc(len(records))
            if self._cache:
                faces, anew, others = self._cache.take(records, self._extractor)
                _known.inc(len(records) - len(others))
                self._spool.add(anew, len(records) - len(others))
                yield from _packed(faces)
                records = others
            if self._processes and len(records) >= FEW:
                rows, rejects = self._processes.take(records)
                yield from _packed(table_of(rows))
                yield from _rejected(rejects)
            else:
                extraction = self._extractor.take(records)
                self._spool.add(extraction, len(records))
                yield from _rejected(extraction.rejects)
            if self._spool.is_full:
                yield from _packed(table_of(self._spool.flush()))

    def finish_bundle(self) -> Iterator[Any]:
        with errors_reach_driver(self._staging):
            for block in _packed(table_of(self._spool.flush())):
                yield GlobalWindows.windowed_value(block)


_opened = Metrics.counter("ingest", "records_with_photos")
_known = Metrics.counter("ingest", "faces_known")


def _packed(faces: pa.Table) -> Iterator[bytes]:
    if len(faces):
        yield pack_faces(faces)


class ByPicture(beam.DoFn):
    """Gives the faces to ranges of their pictures' digests, of about `RANGE` rows each.

    Those of a bundle are gathered first: cut into as many parts as there are ranges, each block for itself would be crumbs.
    """

    def start_bundle(self) -> None:
        self._blocks: list[bytes] = []
        self._rows = 0
        self._count = 1

    def process(self, block: bytes, kept_rows: int) -> Iterator[tuple[int, bytes]]:
        self._count = _ranges(kept_rows)
        if self._count == 1:
            yield 0, block
            return
        self._blocks.append(block)
        self._rows += len(unpack_faces([block]))
        if self._rows >= RANGE:
            yield from self._parts()

    def _parts(self) -> Iterator[tuple[int, bytes]]:
        faces = unpack_faces(self._blocks)
        self._blocks, self._rows = [], 0
        yield from _by_digest(faces, "pixels", self._count)

    def finish_bundle(self) -> Iterator[Any]:
        if self._blocks:
            for part in self._parts():
                yield GlobalWindows.windowed_value(part)


def _ranges(rows: int) -> int:
    return max(1, -(-rows // RANGE))


def _by_digest(faces: pa.Table, column: str, count: int) -> Iterator[tuple[int, bytes]]:
    """Blocks of the faces whose digests in a column, bytes or hex, are in the same of so many ranges."""
    numbers = [0] * len(faces)
    if count > 1:
        digests = faces[column].to_pylist()
        firsts = (
            int(digest[:16], 16) if isinstance(digest, str) else int.from_bytes(digest[:8], "big") for digest in digests
        )
        numbers = [first * count >> 64 for first in firsts]
    for number, part in parts_of(faces, numbers):
        yield number, pack_faces(part)


Part = tuple[str, int, bytes]
"""Faces of one split, or `LEFT_OUT`: which, the bytes of their Examples, and their table."""


def _part(split: str, faces: pa.Table) -> Iterator[Part]:
    if len(faces):
        yield split, pc.sum(faces["length"]).as_py(), pack_faces(faces)


def _left(faces: pa.Table, kept: pa.Table) -> Iterator[Any]:
    left_out = faces.filter(pc.invert(pc.is_in(faces["row"], kept["row"].combine_chunks())))
    for part in _part(LEFT_OUT, left_out):
        yield beam.pvalue.TaggedOutput(LEFT, part)


class KeepOne(beam.DoFn):
    """Keeps each picture of a range once, and gives what is left to ranges of the photos' digests."""

    def __init__(self, ingest: IngestSettings) -> None:
        self._settle = partial(keep_one, age_tolerance=ingest.age_tolerance)

    def process(self, group: tuple[int, Iterable[bytes]], kept_rows: int) -> Iterator[Any]:
        faces = unpack_faces(group[1])
        kept, rejects = settled(faces, "pixels", self._settle)
        yield from _rejected(rejects)
        yield from _left(faces, kept)
        yield from _by_digest(kept, "sha256", _ranges(kept_rows))


class KeepOneSplit(beam.DoFn):
    """Keeps each photo of a range in one split."""

    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        faces = unpack_faces(group[1])
        kept, rejects = settled(faces, "sha256", keep_one_split)
        yield from _rejected(rejects)
        yield from _left(faces, kept)
        for split in SPLITS:
            yield from _part(split, kept.filter(pc.field("split") == split))


class IntoShards(beam.DoFn):
    """Gives the faces of a split to its shards, as (split, number, count): a range of digests each, which spreads evenly."""

    def __init__(self, ingest: IngestSettings) -> None:
        self._shard_bytes = ingest.shard_mb * 1e6

    def process(self, part: Part, sizes: dict[str, int]) -> Iterator[Any]:
        split, _, block = part
        faces = unpack_faces([block])
        count = max(1, round(sizes[split] / self._shard_bytes))
        for number, same_shard in _by_digest(faces, "pixels", count):
            yield (split, number, count), same_shard


class WriteShard(beam.DoFn):
    """Writes a shard, in the order of the faces' digests, with its part of the listing."""

    def __init__(self, staging: str) -> None:
        self._staging = staging

    def process(self, group: tuple[tuple[str, int, int], Iterable[bytes]]) -> Iterator[tuple[str, Piece]]:
        (split, number, count), blocks = group
        faces = unpack_faces(blocks).sort_by([("pixels", "ascending"), ("row", "ascending")])
        with errors_reach_driver(self._staging):
            yield "", write_shard(self._staging, split, number, count, faces)
        _examples[split].inc(len(faces))
        for length in faces["length"].to_pylist():
            _bytes.update(length)


_examples = {split: Metrics.counter("ingest", f"examples_{split}") for split in (*SPLITS, LEFT_OUT)}
_bytes = Metrics.distribution("ingest", "example_bytes")


class WriteRejects(beam.DoFn):
    """Writes the rejects of a range of the source's rows, in their order."""

    def __init__(self, staging: str) -> None:
        self._staging = staging

    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[tuple[str, Piece]]:
        rejects = sorted(chain.from_iterable(map(unpack_rejects, group[1])), key=lambda reject: reject.row)
        with errors_reach_driver(self._staging):
            yield "", write_rejects_piece(self._staging, group[0], rejects)
        for reason, same in groups(rejects, lambda reject: reject.reason).items():
            Metrics.counter("ingest", f"rejects_{reason}").inc(len(same))


class WriteContents(beam.DoFn):
    """Writes down which files are the pieces of the artifact; of a bundle that was done twice, another may lie there too."""

    def __init__(self, staging: str) -> None:
        self._staging = staging

    def process(self, group: tuple[str, Iterable[Any]]) -> Iterator[None]:
        with errors_reach_driver(self._staging):
            write_contents(self._staging, group[1])
        yield from ()


def _rejected(rejects: list[Reject]) -> Iterator[Any]:
    for number, same in groups(rejects, lambda reject: reject.row // RANGE).items():
        yield beam.pvalue.TaggedOutput(REJECTS, (number, pack_rejects(same)))
