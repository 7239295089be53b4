"""From a record to a face: the photo is opened and its face taken, or that of an earlier ingest is used again."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from components.ingest import labels
from components.ingest.faces import Spool, TakenFace, row_of
from components.ingest.labels import SplitSettings
from components.ingest.photos import Photos
from components.photo import Face, PhotoRejected, PhotoSettings, face_of
from schemas.example import FaceExample, decode, encode
from schemas.record import FaceRecord
from schemas.reject import Reject

if TYPE_CHECKING:
    from components.ingest.listing import Known


class Taken(NamedTuple):
    """What became of some records: the rows of the faces, see `row_of`, and the rejects."""

    rows: list[tuple[Any, ...]]
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class FaceTaker:
    """Takes faces from photos; any number of threads may use it at once.

    Attributes:
        photos: where the photos come from.
        photo: how faces are made.
        split: how persons are dealt out to the folds.
        spool: folder where the faces' Examples are put.
    """

    photos: Photos
    photo: PhotoSettings
    split: SplitSettings
    spool: Path

    def take(self, records: list[FaceRecord]) -> Taken:
        """The faces of records, their Examples in a spool file, and a reject for each whose photo cannot be used."""
        with Spool(self.spool, len(records)) as spool:
            return _taken(self._take(record, spool) for record in records)

    def take_again(self, records: list[FaceRecord], known: "Known") -> tuple[Taken, list[FaceRecord]]:
        """The faces that an earlier ingest knew, as `take` would give them, and the records of which it knew none.

        A photo file that was not changed since then is not read; none whose content was known is decoded.
        """
        found = [(record, *self._find(record, known)) for record in records]
        again = [(record, version, *face) for record, version, face in found if face]
        with Spool(self.spool, len(again)) as spool:
            taken = _taken(self._take_again(*one, spool) for one in again)
        return taken, [record for record, _, face in found if not face]

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
        place = spool.add(encode(_example(record, face, sha256, fold)))
        return TakenFace(record, split, fold, sha256, version, face.pixels, face.height, face.width, *place)

    def _find(self, record: FaceRecord, known: "Known") -> tuple[str, tuple[TakenFace, bytes] | None]:
        """The version of a photo file, and its face with the Example, if the earlier ingest knew it."""
        version = self.photos.version(record.path)
        unchanged = known.unchanged(record.path, record.box, version)
        if unchanged:
            return version, unchanged
        try:
            data = self.photos.read(record.path)
        except PhotoRejected:
            return version, None
        return version, known.of_content(hashlib.sha256(data).hexdigest(), record.box)

    def _take_again(
        self, record: FaceRecord, version: str, known: TakenFace, example: bytes, spool: Spool
    ) -> TakenFace:
        split, fold = labels.split_of(record, self.split), labels.fold_of(record, self.split)
        if fold == known.fold and _told(record) == _told(known.record):
            place = known.file, known.offset, known.length, known.crc
        else:
            face = Face(decode(example).jpeg, known.height, known.width, known.pixels)
            place = spool.add(encode(_example(record, face, known.sha256, fold)))
        return TakenFace(record, split, fold, known.sha256, version, known.pixels, known.height, known.width, *place)


def _taken(taken: Iterable[TakenFace | Reject]) -> Taken:
    rows: list[tuple[Any, ...]] = []
    rejects: list[Reject] = []
    for one in taken:
        if isinstance(one, Reject):
            rejects.append(one)
        else:
            rows.append(row_of(one))
    return Taken(rows, rejects)


_told = attrgetter("source", "path", "person", "age", "age_class", "gender", "face_score")
"""What an Example tells of a record."""


def _example(record: FaceRecord, face: Face, sha256: str, fold: int) -> FaceExample:
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
