"""The test faces as a version's own photo settings make them.

A model must be tested on faces cropped as it was trained on them. Where its settings are not those of the test examples, the
faces are taken anew from the source's photos, by the function that ingest takes them with.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.evaluate import predictions
from components.evaluate.own_labels import LISTING
from components.photo import PhotoRejected, PhotoSettings, face_of
from components.storage.by_name import Files, open_files
from components.storage.places import photos_root
from schemas.artifact import read_manifest
from schemas.error import VisageError
from schemas.example import FaceExample
from schemas.record import TEST
from schemas.shard import Shard

_LIMITS = {"min_side", "max_pixels", "max_bytes"}
"""Photo settings that say which photos are used; all others change how a face looks."""


class CropsUnavailableError(Exception):
    """The photos cannot be cropped again; the text is a sentence that says why."""


def settings_of(version_files: Path) -> PhotoSettings:
    """How a version's faces are cropped.

    Raises:
        VisageError: its `photo.json` cannot be read.
    """
    path = version_files / "photo.json"
    try:
        return PhotoSettings.model_validate_json(path.read_text())
    except (OSError, ValueError) as error:
        raise VisageError(f"{path} cannot be read: {error}") from error


def examples(ingest: Path, test: Sequence[Shard], photo: PhotoSettings) -> Iterator[FaceExample | None]:
    """The test examples as these photo settings make them; None for one whose photo or face they reject.

    Args:
        ingest: the examples artifact.
        test: shards of its test split.
        photo: settings to crop by.

    Raises:
        CropsUnavailableError: the settings are not those of the examples, and a photo is not there any more or another one.
        VisageError: a shard is missing or damaged.
    """
    settings = read_manifest(ingest).settings
    made_by = PhotoSettings.model_validate(settings.get("photo", {}))
    stored = predictions.examples(ingest, test)
    if photo.model_dump(exclude=_LIMITS) == made_by.model_dump(exclude=_LIMITS):
        yield from stored
        return
    boxes, source = _boxes(ingest), settings.get("source", {})
    root = photos_root(source.get("path", ""), source.get("photos", ""))
    try:
        photos = open_files(root, photo.max_bytes, source.get("names_encoding", ""))
    except VisageError as error:
        raise CropsUnavailableError(f"{_OTHERWISE}, and their photos cannot be read again: {error.message}") from error
    for example in stored:
        key = example.path, example.sha256, example.person
        if key not in boxes:
            raise CropsUnavailableError(f"{_OTHERWISE}, and {LISTING} does not list {example.path}.")
        yield _cropped(example, boxes[key], photos, photo)


_OTHERWISE = "Its faces are cropped otherwise than these"


def _cropped(example: FaceExample, box: Any, photos: Files, photo: PhotoSettings) -> FaceExample | None:
    try:
        data = photos.read(example.path)
    except PhotoRejected as why:
        if why.reason == "photo_too_large":
            return None
        raise CropsUnavailableError(f"{_OTHERWISE}, and {example.path} cannot be read again: {why.detail}.") from why
    if hashlib.sha256(data).hexdigest() != example.sha256:
        raise CropsUnavailableError(
            f"{_OTHERWISE}, and {example.path} is not the photo any more that they were made of."
        )
    try:
        face = face_of(data, box and tuple(box), photo)
    except PhotoRejected:
        return None
    return replace(example, jpeg=face.jpeg, height=face.height, width=face.width)


def _boxes(ingest: Path) -> dict[tuple[str, str, str], Any]:
    """Where the face is, by the photo's path and digest and the person; None where the whole photo is the face."""
    import pyarrow as pa

    from schemas.arrow_files import parquet

    try:
        listed = parquet.read_table(
            ingest / LISTING, columns=["path", "sha256", "person", "box"], filters=[("split", "=", TEST)]
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise CropsUnavailableError(f"{_OTHERWISE}, and {LISTING} cannot be read: {error}.") from error
    return {(row["path"], row["sha256"], row["person"]): row["box"] for row in listed.to_pylist()}
