"""Faces that an earlier ingest took, used again: a photo that is known is not decoded, one that was not changed not even read.

The driver lays the rows of the earlier listings into one file of the staging place. Each worker maps it into its memory, so that
of a row it holds 32 bytes, two hashes and where they point; the rest is read where it is asked for.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.ingest.examples_index import LISTED, known_faces
from components.ingest.extract import FaceExtractor, example_of
from components.ingest.face_tables import COLUMNS, LABELS, faces_of, table_of
from components.ingest.faces import PLACE, ExtractedFace, Extraction, labels_of, row_of
from components.ingest.spool import read_examples
from components.photo import Face, PhotoRejected
from components.storage import files, names
from components.storage.by_name import Files
from schemas.arrow_files import ipc
from schemas.example import decode, encode
from schemas.record import FaceRecord

KNOWN = "known.arrow"
_SHARDS = "known"
_AT_ONCE = 1 << 16
"""Rows in a batch of the file."""


def stage_known(previous: Path, staging: str, made_by: str, copied: bool) -> bool:
    """Lay the faces of an earlier ingest into the staging place, if they were made in the same way; gives whether there are any.

    Args:
        previous: artifact of the earlier ingest.
        staging: place of the job.
        made_by: how faces are made now, see `examples_index.making`.
        copied: whether the shards are copied there too, since workers do not see the artifact.

    Raises:
        OSError: it cannot be read or written.
    """
    has_faces = False
    copies: set[str] = set()
    with files.new_file(names.joined(staging, KNOWN)) as file, ipc.new_file(file, LISTED) as written:
        for faces in known_faces(previous, made_by):
            has_faces = True
            place = names.joined(staging, _SHARDS) if copied else str(previous.absolute())
            for shard in set(faces["file"].unique().to_pylist()) - copies if copied else ():
                files.copy(str(previous / shard), names.joined(place, shard))
                copies.add(shard)
            paths = pc.binary_join_element_wise(place, faces["file"], "/")
            number = LISTED.names.index("file")
            written.write_table(faces.set_column(number, LISTED.field(number), paths), max_chunksize=_AT_ONCE)
    return has_faces


class FaceCache:
    """The faces of an earlier ingest that `stage_known` has laid down. Any number of threads may ask at once.

    Args:
        staging: place of the job; empty if no faces are known.
    """

    def __init__(self, staging: str) -> None:
        self._batches = _mapped(names.joined(staging, KNOWN)) if staging else []
        self._firsts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        keys = ((hash(key), hash(content)) for batch in self._batches for key, content in _keys(batch))
        hashes = np.fromiter(keys, np.dtype((np.int64, 2)), len(self))
        self._by_path, self._by_content = _Sorted(hashes[:, 0]), _Sorted(hashes[:, 1])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def take(
        self, records: list[FaceRecord], extractor: FaceExtractor
    ) -> tuple[pa.Table, Extraction, list[FaceRecord]]:
        """Of the records that are known the faces, as the extractor would take them, and the records that are not known.

        First the faces whose Examples lie where they lay, then those whose Example tells something that is no longer so.
        """
        matches = self._matches(records, extractor.photos)
        known_numbers = [number for number, (row, _) in enumerate(matches) if row is not None]
        before = self._rows([row for row, _ in matches if row is not None])
        labels = table_of((labels_of(records[number], extractor.split) for number in known_numbers), LABELS)
        versions = pa.array([matches[number][1] for number in known_numbers], pa.string())
        now = pa.table([*labels.columns, *before.select(_OF_FACE).columns], schema=COLUMNS)
        now = now.set_column(_VERSION, COLUMNS.field(_VERSION), versions)
        now, anew = _with_new_examples(before, now)
        return now, anew, [record for record, (row, _) in zip(records, matches, strict=True) if row is None]

    def _matches(self, records: list[FaceRecord], photos: Files) -> list[tuple[int | None, str]]:
        """For each record the row of its face, if it is known, and the version of its photo."""
        rows = self._by_path.find([hash((record.path, record.box)) for record in records])
        candidates = self._rows(rows, _IDENTITY)
        paths, boxes, versions = (candidates[name].to_pylist() for name in ("path", "box", "version"))
        matches: list[tuple[int | None, str]] = []
        for number, record in enumerate(records):
            version = photos.version(record.path)
            is_it = rows[number] >= 0 and (paths[number], _corners(boxes[number])) == (record.path, record.box)
            if is_it and version and versions[number] == version:
                matches.append((rows[number], version))
            else:
                matches.append((self._by_bytes(record, photos), version))
        return matches

    def _by_bytes(self, record: FaceRecord, photos: Files) -> int | None:
        try:
            digest = hashlib.sha256(photos.read(record.path)).hexdigest()
        except PhotoRejected:
            return None
        (row,) = self._by_content.find([hash((digest, record.box))])
        if row < 0:
            return None
        (candidate,) = self._rows([row], _IDENTITY).to_pylist()
        return row if (candidate["sha256"], _corners(candidate["box"])) == (digest, record.box) else None

    def _rows(self, rows: Sequence[int], columns: Sequence[str] = LISTED.names) -> pa.Table:
        """Rows by their numbers, in that order; for a number below 0 any row."""
        schema = pa.schema([LISTED.field(name) for name in columns])
        numbers = np.maximum(np.array(rows, np.int64), 0)
        batch_of = np.searchsorted(self._firsts, numbers, side="right") - 1
        parts = [schema.empty_table()]
        for batch in np.unique(batch_of):
            part = pa.Table.from_batches([self._batches[batch]]).select(list(columns))
            parts.append(part.take(pa.array(numbers[batch_of == batch] - self._firsts[batch])))
        back = np.argsort(np.argsort(batch_of, kind="stable"), kind="stable")
        return pa.concat_tables(parts).combine_chunks().take(pa.array(back))


_IDENTITY = ("path", "box", "sha256", "version")


class _Sorted:
    """Rows by the hash of a key."""

    def __init__(self, hashes: np.ndarray) -> None:
        self._rows = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._rows]

    def find(self, hashes: list[int]) -> list[int]:
        """The last row with each hash; -1 if there is none."""
        wanted = np.array(hashes, np.int64)
        places = np.searchsorted(self._hashes, wanted, side="right") - 1
        is_match = (
            (places >= 0) & (self._hashes[places] == wanted) if len(self._hashes) else np.zeros(len(wanted), bool)
        )
        return np.where(is_match, self._rows[places] if len(self._hashes) else -1, -1).tolist()


def _keys(batch: pa.RecordBatch) -> Iterator[tuple[Any, Any]]:
    """What a row is found by: the photo's path or its content, with the box of the face."""
    paths, boxes, digests = (batch.column(LISTED.names.index(name)).to_pylist() for name in ("path", "box", "sha256"))
    for path, box, digest in zip(paths, map(_corners, boxes), digests, strict=True):
        yield (path, box), (digest, box)


def _corners(box: Iterable[float] | None) -> tuple[float, ...] | None:
    return None if box is None else tuple(box)


def _mapped(place: str) -> list[pa.RecordBatch]:
    """The batches of an Arrow file, mapped into memory; one of a store is fetched for that."""
    if not names.is_remote(place):
        return _batches(place)
    with tempfile.TemporaryDirectory(prefix="visage-") as folder:
        files.fetch(place, Path(folder) / KNOWN)
        return _batches(f"{folder}/{KNOWN}")  # it stays mapped when it has no name any more


def _batches(file: str) -> list[pa.RecordBatch]:
    reader = ipc.open_file(pa.memory_map(file))
    return [reader.get_batch(number) for number in range(reader.num_record_batches)]


_VERSION = COLUMNS.names.index("version")
_OF_FACE = COLUMNS.names[len(LABELS) :]
"""The columns that do not follow from the record."""
_IN_EXAMPLE = ["source", "path", "person", "age", "age_class", "gender", "face_score", "fold"]
"""The columns that an Example tells."""


def _with_new_examples(before: pa.Table, now: pa.Table) -> tuple[pa.Table, Extraction]:
    """The faces whose Examples tell what is so, and the others with new Examples."""
    if now.select(_IN_EXAMPLE).equals(before.select(_IN_EXAMPLE)):
        return now, Extraction([], [], [])
    pairs = zip(now.select(_IN_EXAMPLE).to_pylist(), before.select(_IN_EXAMPLE).to_pylist(), strict=True)
    changed = pa.array([new != old for new, old in pairs])
    faces = faces_of(now.filter(changed))
    rows = [row_of(face)[: -len(PLACE)] for face in faces]
    return now.filter(pc.invert(changed)), Extraction(rows, list(map(_encoded_anew, faces)), [])


def _encoded_anew(face: ExtractedFace) -> bytes:
    (example,) = read_examples([face[-4:]])
    picture = Face(decode(example).jpeg, face.height, face.width, face.pixels)
    return encode(example_of(face.record, picture, face.sha256, face.fold))
