"""What a worker does with a part: read, find faces, predict."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.detection.detect import detector
from components.detection.face import Detector
from components.estimator.saved import Estimator, Predictions
from components.photo import PhotoRejected, PhotoSettings, open_photo
from components.registry import ModelVersion
from components.score.batches import squares
from components.score.faces import Face, faces_of
from components.score.parts import Counts, Part
from components.score.pictures import Picture
from components.score.plan import Plan
from components.score.settings import ScoreSettings
from components.storage.entry import Entry, Source
from components.storage.names import shown
from components.storage.reading import Reader
from schemas.reject import Reject
from schemas.score import arrow_schema, prediction_columns


@dataclass(frozen=True)
class Work:
    """What the rows of a job have in common, and what decides them.

    Attributes:
        photo: how the model wants faces taken from photos.
        model_name: in the registry.
        model_version: in the registry.
        precision: of the model's arithmetic, `float32` or `bfloat16`.
        started: when the job was first started, UTC.
        detector: how faces are looked for; None where every picture is a face.
        min_score: of a detected face; None for the detector's own threshold.
        batch: faces that go through the model at once.
        pictures: how many scored photos a part keeps for the summary page, by part.
    """

    photo: PhotoSettings
    model_name: str
    model_version: str
    precision: str
    started: datetime
    detector: str | None
    min_score: float | None
    batch: int
    pictures: dict[int, int]

    @classmethod
    def of(
        cls, settings: ScoreSettings, version: ModelVersion, model: Path, precision: str, started: datetime, parts: int
    ) -> "Work":
        """The work that the settings want done in so many parts, with a version whose files lie in the folder `model`."""
        return cls(
            photo=PhotoSettings.model_validate_json((model / "photo.json").read_text()),
            model_name=version.name,
            model_version=version.version,
            precision=precision,
            started=started,
            detector=settings.looks_with,
            min_score=settings.min_score,
            batch=settings.batch,
            pictures=_pictures_by_part(settings.pictures, parts),
        )

    def finder(self) -> Detector | None:
        """A detector of the kind that the work wants; None where every picture is a face.

        Raises:
            VisageError: its weights are not what they should be.
        """
        return detector(self.detector, self.min_score, self.photo.turns) if self.detector else None


def _pictures_by_part(count: int, parts: int) -> dict[int, int]:
    """How many photos each part keeps for the summary page, so that they come from everywhere."""
    counts = Counter(index * parts // count for index in range(count)) if parts else Counter[int]()
    return dict(sorted(counts.items()))


def score_part(
    work: Work, plan: Plan, number: int, reader: Reader, model: Estimator, detector: Detector | None
) -> Part:
    """Score a part.

    Args:
        work: of the job.
        plan: what is to be scored.
        number: of the part.
        reader: of the plan's sources.
        model: of the work, in its precision.
        detector: of the work; None where every picture is a face.

    Raises:
        VisageError: the plan, an archive or a store cannot be read.
    """
    rows = _Rows(work)
    rejects: list[Reject] = []
    predicted: list[Predictions] = []
    pictures: list[Picture] = []
    waiting: list[np.ndarray] = []
    for entry in plan.part(number):
        source = plan.sources[entry.source]
        try:
            data = reader.read(entry)
            photo = open_photo(data, work.photo)
            faces = faces_of(photo, work.photo, detector)
        except PhotoRejected as rejected:
            rejects.append(Reject(*_place(source, entry), "", rejected.reason, rejected.detail))
            continue
        if faces and len(pictures) < work.pictures.get(number, 0):
            pictures.append(Picture.of(photo, shown(entry.name), [face.box for face in faces], rows.faces))
        rows.add(*_place(source, entry), hashlib.sha256(data).hexdigest(), faces)
        waiting += [face.pixels for face in faces]
        while len(waiting) >= work.batch:
            predicted.append(model.predict_squares(squares(waiting[: work.batch], model.size)))
            del waiting[: work.batch]
    if waiting:
        predicted.append(model.predict_squares(squares(waiting, model.size)))
    columns = prediction_columns(Predictions.joined(predicted), model.classes.names if model.classes else ())
    counts = Counts(
        rows.photos + len(rejects), rows.photos - rows.without_face, rows.without_face, len(rejects), rows.faces
    )
    return Part.of(rows.table(columns), rejects, [picture.drawn(columns) for picture in pictures], counts)


class _Rows:
    """The rows of a part in the making; the model's columns come last, when all its batches are through."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._columns: dict[str, list[Any]] = {name: [] for name in _OWN_COLUMNS}
        self._face: list[int | None] = []
        self.photos = self.without_face = self.faces = 0

    def add(self, archive: str, path: str, sha256: str, faces: Sequence[Face]) -> None:
        self.photos += 1
        self.without_face += not faces
        for index, face in enumerate(faces):
            self._add(archive, path, sha256, index, len(faces), *face.box, face.score, face.angle)
            self._face.append(self.faces)
            self.faces += 1
        if not faces:
            self._add(archive, path, sha256, None, 0, None, None, None, None, None, None)
            self._face.append(None)

    def _add(self, *values: Any) -> None:
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def table(self, predictions: dict[str, np.ndarray]) -> pa.Table:
        schema = arrow_schema()
        face = pa.array(self._face, pa.int64())
        columns = {name: pa.array(values, schema.field(name).type) for name, values in self._columns.items()}
        for name, values in predictions.items():
            columns[name] = pa.array(values, schema.field(name).type, from_pandas=True).take(face)
        same = {
            "model_name": self._work.model_name,
            "model_version": self._work.model_version,
            "precision": self._work.precision,
            "scored_at": self._work.started,
        }
        for name, value in same.items():
            columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), len(face))
        return pa.table([columns[name] for name in schema.names], schema=schema)


_OWN_COLUMNS = (
    *("archive", "path", "sha256", "face_index", "face_count"),
    *("box_left", "box_top", "box_right", "box_bottom", "detection_score", "angle"),
)


def _place(source: Source, entry: Entry) -> tuple[str, str]:
    """Where a photo is, for people: archive or folder, and path within it."""
    return source.place.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), shown(entry.name)
