"""From a record to a face: the photo is opened and its face taken."""

import hashlib
from dataclasses import dataclass

from components.ingest.faces import Extraction, labels_of
from components.ingest.labels import SplitSettings
from components.photo import Face, PhotoRejected, PhotoSettings, face_of
from components.storage.by_name import Files
from schemas.example import FaceExample, encode
from schemas.record import FaceRecord
from schemas.reject import Reject


@dataclass(frozen=True, slots=True)
class FaceExtractor:
    """Takes faces from photos; any number of threads may use it at once.

    Attributes:
        photos: where the photos come from.
        photo: how faces are made.
        split: how persons are dealt out to the folds.
    """

    photos: Files
    photo: PhotoSettings
    split: SplitSettings

    def take(self, records: list[FaceRecord]) -> Extraction:
        """The faces of records with their Examples, and a reject for each whose photo cannot be used."""
        extraction = Extraction([], [], [])
        for record in records:
            self._take(record, extraction)
        return extraction

    def _take(self, record: FaceRecord, extraction: Extraction) -> None:
        sha256 = ""
        try:
            version = self.photos.version(record.path)
            data = self.photos.read(record.path)
            sha256 = hashlib.sha256(data).hexdigest()
            face = face_of(data, record.box, self.photo)
        except PhotoRejected as why:
            extraction.rejects.append(
                Reject(record.source, record.path, record.person, why.reason, why.detail, record.row, sha256)
            )
            return
        labels = labels_of(record, self.split)
        extraction.rows.append((*labels, sha256, version, face.pixels, face.height, face.width))
        extraction.examples.append(encode(example_of(record, face, sha256, labels[-1])))


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
