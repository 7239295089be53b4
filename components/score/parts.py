"""One part of a job: read, find faces, predict, keep. What is kept is whole, and is not done again."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from components.estimator.precision import in_bfloat16
from components.estimator.saved import Estimator, Predictions, load
from components.photo import PhotoRejected, PhotoSettings, open_photo
from components.registry import ModelVersion
from components.score.batches import squares
from components.score.faces import Detector, Face, faces_of
from components.score.frozen import frozen
from components.score.pictures import Picture
from components.score.plan import Plan
from components.score.settings import ScoreSettings
from components.storage.entry import Entry, Source
from components.storage.names import shown
from components.storage.reading import Reader
from schemas.arrow_files import parquet as pq
from schemas.reject import Reject, write_rejects
from schemas.score import arrow_schema, prediction_columns

FOLDER = "parts"


@dataclass(frozen=True)
class Work:
    """What a worker has to know.

    Attributes:
        output: folder of the artifact in the making.
        plan: what is to be scored.
        model: folder of the model's files.
        photo: how the model wants faces taken from photos.
        model_name: in the registry.
        model_version: in the registry.
        started: when the job was first started, UTC; it stands in every row.
        detector: how faces are looked for; None where every picture is a face.
        min_score: of a detected face; None for the detector's own threshold.
        batch: faces that go through the model at once.
        precision: of the model's arithmetic, as in the settings.
        pictures: how many scored photos a part keeps for the summary page, by part.
    """

    output: Path
    plan: Plan
    model: Path
    photo: PhotoSettings
    model_name: str
    model_version: str
    started: datetime
    detector: str | None
    min_score: float | None
    batch: int
    precision: str
    pictures: dict[int, int]

    @classmethod
    def of(
        cls, wanted: ScoreSettings, output: Path, plan: Plan, version: ModelVersion, model: Path, started: datetime
    ) -> "Work":
        """The work of a plan, as the settings want it, with a version whose files lie in the folder `model`."""
        return cls(
            output=output,
            plan=plan,
            model=model,
            photo=PhotoSettings.model_validate_json((model / "photo.json").read_text()),
            model_name=version.name,
            model_version=version.version,
            started=started,
            detector=wanted.looks_with,
            min_score=wanted.min_score,
            batch=wanted.batch,
            precision=wanted.precision,
            pictures=_pictures(wanted.pictures, plan.parts),
        )


def _pictures(count: int, parts: int) -> dict[int, int]:
    """How many photos each part keeps for the summary page, so that they come from everywhere."""
    wanted = Counter(index * parts // count for index in range(count)) if parts else Counter[int]()
    return dict(sorted(wanted.items()))


@dataclass(frozen=True)
class Counts:
    """What became of some photos: `photos` is the sum of `scored`, `without_face` and `rejected`."""

    photos: int = 0
    scored: int = 0
    without_face: int = 0
    rejected: int = 0
    faces: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Counts)))


def scores_file(output: Path, number: int) -> Path:
    return output / FOLDER / f"{number:08d}.scores.parquet"


def rejects_file(output: Path, number: int) -> Path:
    return output / FOLDER / f"{number:08d}.rejects.parquet"


def tally_file(output: Path, number: int) -> Path:
    """Its being there says that the part is done."""
    return output / FOLDER / f"{number:08d}.json"


def tally_of(output: Path, number: int) -> Counts | None:
    """What became of a part's photos; None if the part is not done."""
    try:
        return Counts(**json.loads(tally_file(output, number).read_text()))
    except FileNotFoundError:
        return None


@cache
def _estimator(folder: Path, precision: str) -> Estimator:
    estimator = load(folder)
    return frozen(in_bfloat16(estimator) if precision == "bfloat16" else estimator)


_LOADING = Lock()


def estimator(model: Path, precision: str) -> Estimator:
    """The estimator of a model: one a process, for all threads."""
    with _LOADING:
        return _estimator(model / "estimator", precision)


def score_part(work: Work, number: int, reader: Reader, detector: Detector | None) -> Counts:
    """Score a part and keep what comes out.

    Raises:
        VisageError: an archive or the model cannot be read.
        OSError: the output cannot be written.
    """
    model = estimator(work.model, work.precision)
    rows = _Rows(work)
    rejects: list[Reject] = []
    predicted: list[Predictions] = []
    pictures: list[Picture] = []
    waiting: list[np.ndarray] = []
    for entry in work.plan.part(number):
        try:
            data = reader.read(entry)
            photo = open_photo(data, work.photo)
            faces = faces_of(photo, work.photo, detector)
        except PhotoRejected as rejected:
            archive, path = place(work.plan.sources[entry.source], entry)
            rejects.append(Reject(archive, path, "", rejected.reason, rejected.detail))
            continue
        if faces and len(pictures) < work.pictures.get(number, 0):
            pictures.append(Picture.of(photo, shown(entry.name), [face.box for face in faces], rows.faces))
        rows.add(entry, hashlib.sha256(data).hexdigest(), faces)
        waiting += [face.pixels for face in faces]
        while len(waiting) >= work.batch:
            predicted.append(model.predict_squares(squares(waiting[: work.batch], model.size)))
            del waiting[: work.batch]
    if waiting:
        predicted.append(model.predict_squares(squares(waiting, model.size)))
    columns = prediction_columns(Predictions.joined(predicted), model.classes.names if model.classes else ())

    pq.write_table(rows.table(columns), scores_file(work.output, number))
    write_rejects(rejects_file(work.output, number), rejects)
    for index, picture in enumerate(pictures):
        picture.save(work.output / FOLDER / f"{number:08d}-{index:03d}.jpg", columns)
    tally = Counts(
        rows.photos + len(rejects), rows.photos - rows.without_face, rows.without_face, len(rejects), rows.faces
    )
    _seal(work.output, number, tally)
    return tally


class _Rows:
    """The rows of a part in the making; the model's columns come last, when all its batches are through."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._columns: dict[str, list[Any]] = {name: [] for name in _OWN_COLUMNS}
        self._face: list[int | None] = []
        self.photos = self.without_face = self.faces = 0

    def add(self, entry: Entry, sha256: str, faces: Sequence[Face]) -> None:
        archive, path = place(self._work.plan.sources[entry.source], entry)
        self.photos += 1
        self.without_face += not faces
        for index, face in enumerate(faces):
            self._add(archive, path, sha256, index, len(faces), *face.box, face.score)
            self._face.append(self.faces)
            self.faces += 1
        if not faces:
            self._add(archive, path, sha256, None, 0, None, None, None, None, None)
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
            "scored_at": self._work.started,
        }
        for name, value in same.items():
            columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), len(face))
        return pa.table([columns[name] for name in schema.names], schema=schema)


_OWN_COLUMNS = (
    *("archive", "path", "sha256", "face_index", "face_count"),
    *("box_left", "box_top", "box_right", "box_bottom", "detection_score"),
)


def place(source: Source, entry: Entry) -> tuple[str, str]:
    """Where a photo is, for people: archive or folder, and path within it."""
    return source.place.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), shown(entry.name)


def _seal(output: Path, number: int, tally: Counts) -> None:
    """Put a part's files on disk, then the one that says it is done."""
    for path in (scores_file(output, number), rejects_file(output, number)):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    final = tally_file(output, number)
    partial = final.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(tally)))
    partial.rename(final)
