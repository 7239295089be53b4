"""The Beam job: records -> label rules -> photos -> duplicates -> splits -> shards, and rejects from everywhere.

Each stage hands on what it keeps, and what it rejects with a reason. Keys are digests and names, never positions, and every
file is written in the order of a digest, so the outcome does not depend on which worker did what, or when.
"""

import hashlib
import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.coders import Coder
from apache_beam.coders import registry as coders
from apache_beam.utils.shared import Shared

from components.beam import explained
from components.ingest import duplicates, labels, photos
from components.ingest.faces import (
    SPOOL,
    Spool,
    TakenFace,
    pack_face,
    pack_record,
    read_jpeg,
    unpack_face,
    unpack_record,
)
from components.ingest.settings import IngestSettings, Settings
from components.ingest.sources import photos_root, records
from components.ingest.sources.settings import SourceSettings
from components.photo import PhotoRejected, PhotoSettings, face_of
from schemas.example import FaceExample, encode
from schemas.record import FaceRecord
from schemas.reject import Reject, write_rejects
from schemas.shard import Shard, file_name, write_index, write_records

BATCH = 128
"""Records that travel together to a worker; small enough that a few thousand photos spread evenly."""

OVERHEAD = 400
"""Bytes of an example beside its JPEG, about; for planning the number of shards."""

REJECTS = "rejects"


@dataclass(frozen=True)
class Batch:
    """Records whose photos are to be opened."""

    records: list[FaceRecord]


class _BatchCoder(Coder):
    def encode(self, value: Batch) -> bytes:
        return pickle.dumps([pack_record(record) for record in value.records], pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> Batch:
        return Batch([unpack_record(values) for values in pickle.loads(encoded)])


class _FaceCoder(Coder):
    def encode(self, value: TakenFace) -> bytes:
        return pickle.dumps(pack_face(value), pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> TakenFace:
        return unpack_face(pickle.loads(encoded))


coders.register_coder(Batch, _BatchCoder)
coders.register_coder(TakenFace, _FaceCoder)


def build(pipeline: beam.Pipeline, settings: Settings, output: Path) -> None:
    """Lay the ingest job out on a pipeline.

    It writes under `output`: the shards, index.json, rejects.parquet, and in the spool folder `rows.json`.
    """
    ingest, root = settings.ingest, photos_root(settings.source)

    def split_of(face: TakenFace) -> str:
        return labels.split_of(face.record, ingest.split)

    read = (
        pipeline
        | "source" >> beam.Create([settings.source])
        | "records" >> beam.ParDo(ReadRecords(ingest, output)).with_outputs(REJECTS, main="kept")
    )
    taken = (
        read.kept
        | "spread" >> beam.Reshuffle()
        | "photos" >> beam.ParDo(TakeFaces(root, settings.photo, output)).with_outputs(REJECTS, main="kept")
    )
    single = (
        taken.kept
        | "by picture" >> beam.Map(_by_picture)
        | "same picture" >> beam.GroupByKey()
        | "duplicates" >> beam.ParDo(Settle(ingest.age_tolerance)).with_outputs(REJECTS, main="kept")
    )
    apart = (
        single.kept
        | "by photo" >> beam.Map(_by_photo)
        | "same photo" >> beam.GroupByKey()
        | "splits" >> beam.ParDo(KeepApart(split_of)).with_outputs(REJECTS, main="kept")
    )
    sizes = (
        apart.kept
        | "sizes" >> beam.Map(lambda face: (split_of(face), face.place.length + OVERHEAD))
        | "size of splits" >> beam.CombinePerKey(sum)
    )
    _ = (
        apart.kept
        | "by shard"
        >> beam.Map(_by_shard, split_of, beam.pvalue.AsDict(sizes), ingest.shard_mb * 1e6).with_output_types(
            tuple[tuple[str, int, int], TakenFace]
        )
        | "same shard" >> beam.GroupByKey()
        | "shards" >> beam.ParDo(WriteShard(ingest, output))
        | "all shards" >> beam.combiners.ToList()
        | "index" >> beam.ParDo(WriteIndex(output))
    )
    _ = (
        (read[REJECTS], taken[REJECTS], single[REJECTS], apart[REJECTS])
        | "from everywhere" >> beam.Flatten()
        | "all rejects" >> beam.combiners.ToList()
        | "rejects" >> beam.ParDo(WriteRejects(output))
    )


class ReadRecords(beam.DoFn):
    """The records of a source that the label rules keep, in batches; rejects of the others."""

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
                    yield Batch(batch)
                yield beam.pvalue.TaggedOutput(REJECTS, [reject for reject in rejects if reject])
            (self._output / SPOOL / "rows.json").write_text(json.dumps({"rows": rows, "kept": kept}))

    def infer_output_type(self, input_type: Any) -> Any:
        return Batch

    def _reject(self, record: FaceRecord) -> Reject | None:
        found = labels.reject_of(record, self._ingest.filter)
        if found is None and any(
            fnmatchcase(name, pattern) for pattern in self._ingest.exclude for name in (record.person, record.path)
        ):
            found = "excluded", "named in ingest.exclude"
        return None if found is None else Reject(record.source, record.path, record.person, *found, record.row)


class TakeFaces(beam.DoFn):
    """Opens the photos of a batch and puts their faces into a spool file; rejects of what cannot be used."""

    def __init__(self, root: str, photo: PhotoSettings, output: Path) -> None:
        self._root = root
        self._photo = photo
        self._output = output
        self._shared = Shared()

    def setup(self) -> None:
        with explained(self._output):
            self._read = self._shared.acquire(lambda: _Kept(photos.reader(self._root, self._photo.max_bytes))).value

    def process(self, batch: Batch) -> Iterator[Any]:
        rejects = []
        with explained(self._output):
            spool = Spool(self._output / SPOOL, len(batch.records))
            for record in batch.records:
                try:
                    data = self._read(record.path)
                    face = face_of(data, record.box, self._photo)
                except PhotoRejected as reason:
                    rejects.append(
                        Reject(record.source, record.path, record.person, reason.reason, reason.detail, record.row)
                    )
                    continue
                digest = hashlib.sha256(data).hexdigest()
                yield TakenFace(record, digest, face.pixels, face.height, face.width, spool.add(face.jpeg))
            spool.close()
        yield beam.pvalue.TaggedOutput(REJECTS, rejects)

    def infer_output_type(self, input_type: Any) -> Any:
        return TakenFace


@dataclass
class _Kept:
    """Holds what threads share: `Shared` wants something that it can refer to weakly."""

    value: Any


def _by_picture(face: TakenFace) -> tuple[bytes, TakenFace]:
    return face.pixels, face


def _by_photo(face: TakenFace) -> tuple[str, TakenFace]:
    return face.sha256, face


class Settle(beam.DoFn):
    """Of rows with the same picture keeps one, or none if their labels disagree."""

    def __init__(self, age_tolerance: int) -> None:
        self._age_tolerance = age_tolerance

    def process(self, group: tuple[bytes, Iterable[TakenFace]]) -> Iterator[Any]:
        kept, rejects = duplicates.settle(group[1], self._age_tolerance)
        if kept:
            yield kept
        if rejects:
            yield beam.pvalue.TaggedOutput(REJECTS, rejects)

    def infer_output_type(self, input_type: Any) -> Any:
        return TakenFace


class KeepApart(beam.DoFn):
    """Of faces on the same photo keeps those of one split."""

    def __init__(self, split_of: Callable[[TakenFace], str]) -> None:
        self._split_of = split_of

    def process(self, group: tuple[str, Iterable[TakenFace]]) -> Iterator[Any]:
        kept, rejects = duplicates.keep_apart(group[1], self._split_of)
        yield from kept
        if rejects:
            yield beam.pvalue.TaggedOutput(REJECTS, rejects)

    def infer_output_type(self, input_type: Any) -> Any:
        return TakenFace


def _by_shard(
    face: TakenFace, split_of: Callable[[TakenFace], str], sizes: dict[str, int], target: float
) -> tuple[tuple[str, int, int], TakenFace]:
    """The shard of a face, as (split, number, count): by its digest, which spreads evenly."""
    split = split_of(face)
    count = max(1, round(sizes[split] / target))
    return (split, int.from_bytes(face.pixels[:8], "big") * count >> 64, count), face


class WriteShard(beam.DoFn):
    """Writes a shard, in the order of the faces' digests, and gives what the index says of it."""

    def __init__(self, ingest: IngestSettings, output: Path) -> None:
        self._ingest = ingest
        self._output = output

    def process(self, group: tuple[tuple[str, int, int], Iterable[TakenFace]]) -> Iterator[tuple[str, Shard]]:
        (split, number, count), held = group
        faces = sorted(held, key=lambda face: face.pixels)
        name = file_name(split, number, count)
        with explained(self._output):
            path = self._output / name
            partial = path.with_suffix(".partial")
            write_records(partial, (encode(self._example(face)) for face in faces))
            partial.rename(path)
            yield (
                split,
                Shard(
                    name,
                    len(faces),
                    path.stat().st_size,
                    _count(face.record.age for face in faces),
                    _count(face.record.age_class for face in faces),
                    _count(face.record.gender for face in faces),
                ),
            )

    def _example(self, face: TakenFace) -> FaceExample:
        record = face.record
        return FaceExample(
            jpeg=read_jpeg(face.place),
            height=face.height,
            width=face.width,
            person=record.person,
            source=record.source,
            path=record.path,
            sha256=face.sha256,
            age=record.age,
            age_class=record.age_class,
            gender=record.gender,
            score=record.face_score,
            fold=labels.fold_of(record, self._ingest.split),
        )


def _count(values: Iterable[Any]) -> dict[Any, int]:
    counted = Counter(value for value in values if value is not None)
    return {value: counted[value] for value in sorted(counted)}


class WriteIndex(beam.DoFn):
    """Writes the index of all shards."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def process(self, shards: list[tuple[str, Shard]]) -> Iterator[None]:
        with explained(self._output):
            splits: dict[str, list[Shard]] = {}
            for split, shard in sorted(shards, key=lambda entry: entry[1].file):
                splits.setdefault(split, []).append(shard)
            write_index(self._output, splits)
        yield from ()


class WriteRejects(beam.DoFn):
    """Writes all rejects in the order of the source's rows."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def process(self, blocks: list[list[Reject]]) -> Iterator[None]:
        rejects = sorted((reject for block in blocks for reject in block), key=lambda reject: reject.row)
        with explained(self._output):
            write_rejects(self._output / "rejects.parquet", rejects)
        yield from ()
