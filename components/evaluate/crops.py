"""The test faces as a version's own photo settings make them.

A model must be tested on faces cropped as it was trained on them. Where its settings are not those of the test examples, the
faces are taken anew from the source's photos, by the function that ingest takes them with.
"""

import hashlib
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.evaluate import predictions
from components.photo import PhotoRejected, PhotoSettings, face_of
from schemas.artifact import read_manifest
from schemas.error import VisageError
from schemas.example import FaceExample
from schemas.record import TEST
from schemas.shard import Shard

_LISTING = "examples.parquet"
"""File of the examples artifact: a row an example, in the order of the shards; `box` is where its face is on the photo."""

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
    held = predictions.examples(ingest, test)
    if photo.model_dump(exclude=_LIMITS) == made_by.model_dump(exclude=_LIMITS):
        yield from held
        return
    boxes = _boxes(ingest)
    with _opened(settings.get("source", {})) as read:
        for example in held:
            if (example.path, example.sha256) not in boxes:
                raise CropsUnavailableError(
                    f"Its faces are cropped otherwise, and {_LISTING} does not list {example.path}."
                )
            yield _cropped(example, boxes[example.path, example.sha256], read, photo)


def _cropped(example: FaceExample, box: Any, read: Callable[[str], bytes], photo: PhotoSettings) -> FaceExample | None:
    why = f"Its faces are cropped otherwise than these, and {example.path}"
    try:
        data = read(example.path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise CropsUnavailableError(f"{why} cannot be read again to crop it so: {error}.") from error
    if hashlib.sha256(data).hexdigest() != example.sha256:
        raise CropsUnavailableError(f"{why} is not the photo any more that the examples were made of.")
    try:
        face = face_of(data, box and tuple(box), photo)
    except PhotoRejected:
        return None
    return replace(example, jpeg=face.jpeg, height=face.height, width=face.width)


def _boxes(ingest: Path) -> dict[tuple[str, str], Any]:
    """Where the face is on each photo, by the photo's path and digest; None where the whole photo is the face."""
    import pyarrow as pa

    from schemas.arrow_files import parquet

    try:
        listed = parquet.read_table(
            ingest / _LISTING, columns=["path", "sha256", "box"], filters=[("split", "=", TEST)]
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise CropsUnavailableError(
            f"Its faces are cropped otherwise, and {_LISTING} cannot be read: {error}."
        ) from error
    return {(row["path"], row["sha256"]): row["box"] for row in listed.to_pylist()}


@contextmanager
def _opened(source: dict[str, Any]) -> Iterator[Callable[[str], bytes]]:
    """What reads a photo of a source by its path: from a folder, a zip or a tar."""
    root = str(source.get("photos") or source.get("path") or "")
    if not root or "://" in root:
        raise CropsUnavailableError(
            f"Its faces are cropped otherwise, and {root or 'the source'} is not on this machine."
        )
    place = Path(root).expanduser()
    suffixes = place.suffixes
    try:
        if place.is_file() and ".zip" in suffixes[-1:]:
            with zipfile.ZipFile(place) as archive:
                yield archive.read
        elif place.is_file() and ".tar" in suffixes[-1:]:
            with tarfile.open(place, "r:") as packed:
                yield lambda name: _member(packed, name)
        else:
            folder = place.parent if place.is_file() else place
            yield lambda name: (folder / name).read_bytes()
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise CropsUnavailableError(
            f"Its faces are cropped otherwise, and {place} cannot be opened: {error}."
        ) from error


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    held = packed.extractfile(name)
    if held is None:
        raise OSError("it is no file")
    return held.read()
