"""Faces that an earlier ingest took, used again: a photo that is known is not decoded, one that was not changed not even read."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from components.ingest.examples_index import read_known
from components.ingest.extract import FaceExtractor, example_of
from components.ingest.face_tables import COLUMNS, LABELS, faces_of, table_of
from components.ingest.faces import Spool, TakenFace, labels_of, read_examples, row_of
from components.photo import Face, PhotoRejected
from components.storage.by_name import Files
from schemas.example import decode, encode
from schemas.record import FaceRecord


class FaceCache:
    """The faces of an earlier ingest, if they were made in the same way; else none. Any number of threads may ask at once.

    Args:
        folder: artifact of the earlier ingest; None if there is none.
        made_by: how faces are made now, see `examples_index.making`.
    """

    def __init__(self, folder: Path | None, made_by: str) -> None:
        self._faces = read_known(folder, made_by) if folder else COLUMNS.empty_table()
        paths, boxes, digests = (self._faces[name].to_pylist() for name in ("path", "box", "sha256"))
        boxes = [None if box is None else tuple(box) for box in boxes]
        self._by_path = {key: row for row, key in enumerate(zip(paths, boxes, strict=True))}
        self._by_content = {key: row for row, key in enumerate(zip(digests, boxes, strict=True))}
        self._versions = self._faces["version"].to_pylist()

    def __len__(self) -> int:
        return len(self._faces)

    def take(self, records: list[FaceRecord], taker: FaceExtractor) -> tuple[pa.Table, list[FaceRecord]]:
        """The faces of the records that are known, as the taker would take them, and the records that are not."""
        found = [self._find(record, taker.photos) for record in records]
        known = [number for number, (row, _) in enumerate(found) if row is not None]
        before = self._faces.take(pa.array([found[number][0] for number in known], pa.int64()))
        told = table_of((labels_of(records[number], taker.split) for number in known), LABELS)
        versions = pa.array([found[number][1] for number in known], pa.string())
        now = pa.table([*told.columns, *before.columns[len(LABELS) :]], schema=COLUMNS)
        now = now.set_column(_VERSION, COLUMNS.field(_VERSION), versions)
        with Spool(taker.spool, len(known)) as spool:
            now = _told_anew(before, now, spool)
        return now, [record for record, (row, _) in zip(records, found, strict=True) if row is None]

    def _find(self, record: FaceRecord, photos: Files) -> tuple[int | None, str]:
        """The row of a record's face, if it is known, and the version of its photo."""
        version = photos.version(record.path)
        row = self._by_path.get((record.path, record.box))
        if row is not None and version and self._versions[row] == version:
            return row, version
        try:
            digest = hashlib.sha256(photos.read(record.path)).hexdigest()
        except PhotoRejected:
            return None, version
        return self._by_content.get((digest, record.box)), version


_VERSION = COLUMNS.names.index("version")
_TOLD = ["source", "path", "person", "age", "age_class", "gender", "face_score", "fold"]
"""The columns that an Example tells."""


def _told_anew(before: pa.Table, now: pa.Table, spool: Spool) -> pa.Table:
    """The faces, with new Examples where an Example tells something that is no longer so."""
    if now.select(_TOLD).equals(before.select(_TOLD)):
        return now
    told = zip(now.select(_TOLD).to_pylist(), before.select(_TOLD).to_pylist(), strict=True)
    changed = pa.array([new != old for new, old in told])
    anew = (_encoded_anew(face, spool) for face in faces_of(now.filter(changed)))
    return pa.concat_tables([now.filter(pc.invert(changed)), table_of(map(row_of, anew))])


def _encoded_anew(face: TakenFace, spool: Spool) -> TakenFace:
    (example,) = read_examples([face[-4:]])
    picture = Face(decode(example).jpeg, face.height, face.width, face.pixels)
    file, offset, length, crc = spool.add(encode(example_of(face.record, picture, face.sha256, face.fold)))
    return face._replace(file=file, offset=offset, length=length, crc=crc)
