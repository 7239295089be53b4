"""From a record to a face: the photo is opened and its face taken."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from components.ingest import labels
from components.ingest.faces import Spool, TakenFace, row_of
from components.ingest.labels import SplitSettings
from components.photo import Face, PhotoRejected, PhotoSettings, face_of
from components.storage.by_name import Files
from schemas.example import FaceExample, encode
from schemas.record import FaceRecord
from schemas.reject import Reject


class Extracted(NamedTuple):
    """What became of some records: the rows of the faces, see `row_of`, and the rejects."""

    rows: list[tuple[Any, ...]]
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class FaceExtractor:
    """Takes faces from photos; any number of threads may use it at once.

    Attributes:
        photos: where the photos come from.
        photo: how faces are made.
        split: how persons are dealt out to the folds.
        spool: folder where the faces' Examples are put.
    """

    photos: Files
    photo: PhotoSettings
    split: SplitSettings
    spool: Path

    def take(self, records: list[FaceRecord]) -> Extracted:
        """The faces of records, their Examples in a spool file, and a reject for each whose photo cannot be used."""
        with Spool(self.spool, len(records)) as spool:
            return _taken(self._take(record, spool) for record in records)

    def _take(self, record: FaceRecord, spool: Spool) -> TakenFace | Reject:
        sha256 = ""
        try:
            version = self.photos.version(record.path)
            data = self.photos.read(record.path)
            sha256 = hashlib.sha256(data).hexdigest()
            face = face_of(data, record.box, self.photo)
        except PhotoRejected as why:
            return Reject(record.source, record.path, record.person, why.reason, why.detail, record.row, sha256)
        split, fold = labels.split_of(record, self.split), labels.fold_of(record, self.split)
        place = spool.add(encode(example_of(record, face, sha256, fold)))
        return TakenFace(record, split, fold, sha256, version, face.pixels, face.height, face.width, *place)


def _taken(taken: Iterable[TakenFace | Reject]) -> Extracted:
    rows: list[tuple[Any, ...]] = []
    rejects: list[Reject] = []
    for one in taken:
        if isinstance(one, Reject):
            rejects.append(one)
        else:
            rows.append(row_of(one))
    return Extracted(rows, rejects)


def example_of(record: FaceRecord, face: Face, sha256: str, fold: int) -> FaceExample:
    """The Example of a face that was taken from a photo with this digest."""
    return FaceExample(
        jpeg=face.jpeg,
        height=face.height,
        width=face.width,
        person=record.person,
        source=record.source,
        path=record.path,
        sha256=sha256,
        age=record.age,
        age_class=record.age_class,
        gender=record.gender,
        score=record.face_score,
        fold=fold,
    )
