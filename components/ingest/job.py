"""The Beam job: records -> label rules -> photos -> duplicates -> splits -> shards, and rejects from everywhere.

Each stage hands on what it keeps, and what it rejects with a reason. What passes from stage to stage are blocks, see
`components.ingest.blocks`. Their keys are taken from digests and names, never from positions, and every file is written in
the order of a digest, so the outcome does not depend on which worker did what, or when.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.utils.shared import Shared

from components.beam import explained
from components.ingest import duplicates, labels, listing
from components.ingest.blocks import (
    groups,
    pack_faces,
    pack_records,
    pack_rejects,
    unpack_all,
    unpack_faces,
    unpack_records,
    unpack_rejects,
)
from components.ingest.faces import BUFFER, SPOOL, Rows, TakenFace, read_example, write_rows
from components.ingest.photos import open_photos
from components.ingest.processes import running
from components.ingest.settings import IngestSettings, Settings
from components.ingest.sources import photos_root, records
from components.ingest.sources.settings import SourceSettings
from components.ingest.take import FaceTaker, Taken
from components.photo import PhotoSettings
from schemas.record import SPLITS, FaceRecord
from schemas.reject import Reject, write_rejects
from schemas.shard import Shard, file_name, write_index, write_record

BATCH = 128
"""Records whose photos one worker opens in a row; small enough that a few thousand photos spread evenly."""

FEW = 16
"""Fewer photos of a batch are not worth being handed to another process."""

_Written = tuple[str, Shard, Any]
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
    single = (
        taken[KEPT]
        | "same picture" >> beam.GroupByKey()
        | "duplicates" >> beam.ParDo(Settle(ingest.age_tolerance)).with_outputs(REJECTS, main=KEPT)
    )
    apart = (
        single[KEPT]
        | "same photo" >> beam.GroupByKey()
        | "splits" >> beam.ParDo(KeepApart(ingest)).with_outputs(REJECTS, main=KEPT)
    )
    _ = (
        apart[KEPT]
        | "same split" >> beam.GroupByKey()
        | "deal" >> beam.FlatMap(_deal, ingest.shard_mb * 1e6)
        | "same shard" >> beam.GroupByKey()
        | "shards" >> beam.ParDo(WriteShard(output))
        | "all shards" >> beam.GroupByKey()
        | "index" >> beam.ParDo(WriteIndex(settings.photo, output))
    )
    _ = (
        (read[REJECTS], taken[REJECTS], single[REJECTS], apart[REJECTS])
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
    yield from taken.faces.items()
    yield beam.pvalue.TaggedOutput(REJECTS, ("", taken.rejects))


class Settle(beam.DoFn):
    """Of rows with the same picture keeps one, or none if their labels disagree."""

    def __init__(self, age_tolerance: int) -> None:
        self._age_tolerance = age_tolerance

    def process(self, hand: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        kept: list[TakenFace] = []
        rejects: list[Reject] = []
        for same in groups(unpack_all(unpack_faces, hand[1]), attrgetter("pixels")).values():
            face, others = duplicates.settle(same, self._age_tolerance)
            kept += [face] if face else []
            rejects += others
        for number, dealt in groups(kept, lambda face: int(face.sha256[0], 16)).items():
            yield number, pack_faces(dealt)
        yield _rejected(rejects)


class KeepApart(beam.DoFn):
    """Of faces on the same photo keeps those of one split; gives what is kept, with the bytes of its Examples, by split."""

    def __init__(self, ingest: IngestSettings) -> None:
        self._ingest = ingest

    def process(self, hand: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        kept, rejects = [], []
        for same in groups(unpack_all(unpack_faces, hand[1]), attrgetter("sha256")).values():
            faces, others = duplicates.keep_apart(same, self._split_of)
            kept += faces
            rejects += others
        for split, dealt in groups(kept, self._split_of).items():
            yield split, (sum(face.length for face in dealt), pack_faces(dealt))
        yield _rejected(rejects)

    def _split_of(self, face: TakenFace) -> str:
        return labels.split_of(face.record, self._ingest.split)


def _deal(
    group: tuple[str, Iterable[tuple[int, bytes]]], target: float
) -> Iterator[tuple[tuple[str, int, int], bytes]]:
    """The faces of a split by shard, as (split, number, count): a range of digests each, which spreads evenly."""
    split, blocks = group
    count = max(1, round(sum(size for size, _ in blocks) / target))
    for _, packed in blocks:
        for number, dealt in groups(
            unpack_faces(packed), lambda face: int.from_bytes(face.pixels[:8], "big") * count >> 64
        ).items():
            yield (split, number, count), pack_faces(dealt)


class WriteShard(beam.DoFn):
    """Writes a shard, in the order of the faces' digests; gives its entry of the index and its rows of the listing."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def process(self, group: tuple[tuple[str, int, int], Iterable[bytes]]) -> Iterator[tuple[str, _Written]]:
        (split, number, count), blocks = group
        faces = sorted(unpack_all(unpack_faces, blocks), key=attrgetter("pixels"))
        name = file_name(split, number, count)
        with explained(self._output):
            path = self._output / name
            path.parent.mkdir(exist_ok=True)
            listed = []
            with path.with_suffix(".partial").open("wb", BUFFER) as file:
                for face in faces:
                    offset = write_record(file, read_example(face))
                    listed.append(face._replace(file=name, offset=offset))
            path.with_suffix(".partial").rename(path)
            size = path.stat().st_size
        ages = _count(face.record.age for face in faces)
        classes = _count(face.record.age_class for face in faces)
        genders = _count(face.record.gender for face in faces)
        yield "", (split, Shard(name, len(faces), size, ages, classes, genders), listing.table(split, listed))


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
            listing.write_listing(self._output, (rows for *_, rows in written), listing.making(self._photo))
        yield from ()


class WriteRejects(beam.DoFn):
    """Writes all rejects in the order of the source's rows."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def process(self, group: tuple[str, Iterable[bytes]]) -> Iterator[None]:
        rejects = sorted(unpack_all(unpack_rejects, group[1]), key=lambda reject: reject.row)
        with explained(self._output):
            write_rejects(self._output / "rejects.parquet", rejects)
        yield from ()


def _rejected(rejects: list[Reject]) -> Any:
    return beam.pvalue.TaggedOutput(REJECTS, ("", pack_rejects(rejects)))
