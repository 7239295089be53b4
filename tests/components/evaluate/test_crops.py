"""Test faces cropped as a champion's own photo settings say, from the photos that the examples were made of."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from components.evaluate import Settings, crops, run
from components.photo import PhotoSettings, face_of
from components.step import StepContext
from components.step.settings import build
from schemas.arrow_files import parquet
from schemas.error import VisageError
from schemas.example import FaceExample
from schemas.shard import read_index
from tests.components.evaluate.champions import champion_of
from tests.components.evaluate.made_up import face, write_estimator, write_examples

BOX = (20.0, 20.0, 40.0, 40.0)
"""Where the face is on every photo of 60 x 60 pixels."""
AROUND = 20
"""How many years more the surroundings say than the face."""
OURS, ITS = PhotoSettings(margin=0), PhotoSettings(margin=1)
AGES = range(10, 90, 8)


def photo(age: int) -> bytes:
    picture = Image.new("RGB", (60, 60), (2 * (age + AROUND), 0, 0))
    picture.paste((2 * age, 0, 0), (20, 20, 40, 40))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def made(folder: Path, source: Mapping[str, Any], box: tuple[float, ...] | None = BOX) -> Path:
    """An ingest artifact of faces without their surroundings, and its listing."""
    test = []
    for number, age in enumerate(AGES):
        data = photo(age)
        cropped = face_of(data, BOX, OURS)
        name, sha256 = f"{number}.png", hashlib.sha256(data).hexdigest()
        test.append(
            FaceExample(cropped.jpeg, cropped.height, cropped.width, f"made:{number}", "made", name, sha256, age)
        )
    settings = {"photo": OURS.model_dump(mode="json"), "source": dict(source)}
    ingest = write_examples(folder, settings, train=[face(99, 1, 90)], test=test)
    rows = [
        {"path": example.path, "sha256": example.sha256, "person": example.person, "split": "test", "box": box}
        for example in test
    ]
    parquet.write_table(pa.Table.from_pylist(rows), ingest / "examples.parquet")
    return ingest


def write_photos(folder: Path) -> Path:
    folder.mkdir()
    for number, age in enumerate(AGES):
        (folder / f"{number}.png").write_bytes(photo(age))
    return folder


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return folder.with_suffix(".zip")


def tarred(folder: Path) -> Path:
    with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
        for file in folder.iterdir():
            archive.add(file, file.name)
    return folder.with_suffix(".tar")


def cropped_anew(ingest: Path, settings: PhotoSettings = ITS) -> list[FaceExample | None]:
    return list(crops.examples(ingest, read_index(ingest)["test"], settings))


@pytest.mark.parametrize("place", [lambda folder: folder, zipped, tarred], ids=["folder", "zip", "tar"])
def test_faces_are_taken_anew_with_their_own_margin_wherever_the_photos_lie(tmp_path, place):
    ingest = made(tmp_path, {"path": "labels.csv", "photos": str(place(write_photos(tmp_path / "photos")))})
    examples = cropped_anew(ingest)
    assert len(examples) == len(AGES)
    for example in examples:
        assert example is not None and example.age is not None
        assert example.jpeg == face_of(photo(example.age), BOX, ITS).jpeg
        assert (example.height, example.width) == (60, 60)


def test_photos_lie_beside_the_labels_where_nothing_else_is_said(tmp_path):
    photos = write_photos(tmp_path / "photos")
    (photos / "labels.csv").write_text("path,age\n")
    assert None not in cropped_anew(made(tmp_path, {"path": str(photos / "labels.csv")}))


def test_equal_settings_need_no_photo(tmp_path):
    ingest = made(tmp_path, {"path": str(tmp_path / "gone")})
    limits = PhotoSettings(margin=0, min_side=50, max_bytes=9)
    assert [example and example.jpeg for example in cropped_anew(ingest, limits)] == [
        example and example.jpeg for example in cropped_anew(ingest, OURS)
    ]


def test_a_face_that_its_settings_reject_is_nobody(tmp_path):
    ingest = made(tmp_path, {"path": str(write_photos(tmp_path / "photos"))})
    assert set(cropped_anew(ingest, PhotoSettings(margin=1, min_side=21))) == {None}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "0.png").unlink(), r"otherwise than these, and 0.png cannot be read again"),
        (lambda folder: (folder / "0.png").write_bytes(photo(3)), r"0.png is not the photo any more"),
        (lambda folder: (folder.parent / "ingest" / "examples.parquet").unlink(), r"examples.parquet cannot be read"),
    ],
    ids=["gone", "another photo", "no listing"],
)
def test_photos_that_cannot_be_cropped_again_are_a_reason(tmp_path, spoil, message):
    photos = write_photos(tmp_path / "photos")
    ingest = made(tmp_path, {"path": str(photos)})
    spoil(photos)
    with pytest.raises(crops.CropsUnavailableError, match=message):
        cropped_anew(ingest)


def test_photo_settings_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "photo.json").write_text('{"colour": true}')
    with pytest.raises(VisageError, match=r"photo.json cannot be read"):
        crops.settings_of(tmp_path)


@pytest.fixture(scope="module")
def champion(tmp_path_factory, empty_registry):
    """It was trained on faces with their surroundings: of those it takes off what they say too much."""
    folder = tmp_path_factory.mktemp("champion")
    (folder / "its").mkdir()
    (folder / "its" / "photo.json").write_text(ITS.model_dump_json())
    estimator = write_estimator(folder, age_error=-AROUND * 8 / 9, gender={"head": "none"}) / "estimator"
    files = {"estimator": estimator, "photo": folder / "its" / "photo.json"}
    with champion_of(files, folder, empty_registry) as version:
        yield version


def evaluated(tmp_path: Path, ingest: Path, champion) -> dict[str, Any]:
    (tmp_path / "output").mkdir()
    inputs = {"ingest": ingest, "train": write_estimator(tmp_path, gender={"head": "none"})}
    settings = build(
        Settings,
        {},
        ["evaluate.blessing.min_examples=4", "evaluate.resamples=200", "evaluate.blessing.fresh_process=false"],
    )
    run(settings, StepContext(inputs, tmp_path / "output", champion=champion))
    return json.loads((tmp_path / "output" / "metrics.json").read_text())


def test_the_champion_is_tested_on_crops_made_as_its_own_photo_settings_say(champion, tmp_path):
    ingest = made(tmp_path, {"path": str(write_photos(tmp_path / "photos"))})
    metrics = evaluated(tmp_path, ingest, champion)
    assert metrics["champion"]["compared"]
    assert metrics["age_mae"] < 1
    assert metrics["champion"]["age_mae"] < 1, "on the crops of the other model it would be 18"


def test_where_the_photos_are_gone_it_is_not_compared_and_that_is_said(champion, tmp_path):
    metrics = evaluated(tmp_path, made(tmp_path, {"path": str(tmp_path / "gone")}), champion)
    assert not metrics["champion"]["compared"]
    assert "Its faces are cropped otherwise than these, and 0.png cannot be read again" in metrics["reasons"][0]
