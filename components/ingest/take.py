"""From a record to a face: the photo is opened and its face taken, or that of an earlier ingest is used again."""

import hashlib
from operator import attrgetter

from components.ingest import labels
from components.ingest.faces import Spool, TakenFace
from components.ingest.labels import SplitSettings
from components.ingest.listing import Known
from components.ingest.photos import Photos
from components.photo import Face, PhotoRejected, PhotoSettings, face_of
from schemas.example import FaceExample, decode, encode
from schemas.record import FaceRecord
from schemas.reject import Reject


class FaceTaker:
    """Takes faces from photos; any number of threads may use it at once.

    Args:
        photos: where the photos come from.
        known: the faces of an earlier ingest.
        photo: how faces are made.
        split: how persons are dealt out to the folds.
    """

    def __init__(self, photos: Photos, known: Known, photo: PhotoSettings, split: SplitSettings) -> None:
        self._photos = photos
        self._known = known
        self._photo = photo
        self._split = split

    def take(self, record: FaceRecord, spool: Spool) -> TakenFace | Reject:
        """The face of a record, its Example in the spool; or a reject, if the photo cannot be used.

        A photo file that was not changed since the earlier ingest is not read again; one with the content of another that
        was known then is not decoded again.
        """
        version, sha256 = self._photos.version(record.path), ""
        again = self._known.unchanged(record.path, record.box, version)
        try:
            if again is None:
                data = self._photos.read(record.path)
                sha256 = hashlib.sha256(data).hexdigest()
                again = self._known.of_content(sha256, record.box)
            if again:
                return self._take_again(record, version, *again, spool)
            face = face_of(data, record.box, self._photo)
        except PhotoRejected as why:
            return Reject(record.source, record.path, record.person, why.reason, why.detail, record.row, sha256)
        fold = labels.fold_of(record, self._split)
        place = spool.add(encode(_example(record, face, sha256, fold)))
        return TakenFace(record, sha256, version, face.pixels, face.height, face.width, fold, *place)

    def _take_again(
        self, record: FaceRecord, version: str, known: TakenFace, example: bytes, spool: Spool
    ) -> TakenFace:
        fold = labels.fold_of(record, self._split)
        if fold == known.fold and _told(record) == _told(known.record):
            place = known.file, known.offset, known.length, known.crc
        else:
            face = Face(decode(example).jpeg, known.height, known.width, known.pixels)
            place = spool.add(encode(_example(record, face, known.sha256, fold)))
        return TakenFace(record, known.sha256, version, known.pixels, known.height, known.width, fold, *place)


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
