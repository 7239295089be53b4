"""A later ingest uses the faces of an earlier one again, and comes to what it would have come to alone."""

import importlib.metadata
import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

import components.ingest.extract
from components import detection, photo
from components.detection import yunet
from components.ingest import examples_index
from components.photo import PhotoSettings
from schemas.error import VisageError
from tests.components.detection.drawn_faces import jpeg, portrait
from tests.components.ingest.made_up import Archive, all_examples, ingest, picture, rejects, shard_bytes, stored


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A source of 120 photos, three of them broken or duplicates, and its artifact."""
    archive = Archive(tmp_path_factory.mktemp("archive")).fill(120)
    archive.add("broken.jpg", stored(picture(500))[:-30])
    archive.add("copy.jpg", stored(picture(7)), age=7, gender="male")
    archive.add("other age.jpg", stored(picture(8)), age=80, gender="male")
    output = tmp_path_factory.mktemp("artifacts") / "first"
    ingest(archive.write(), output)
    return archive, output


@pytest.fixture
def source(first, tmp_path):
    """A copy of the source that may be changed, with the times of its files."""
    copied = Archive(tmp_path / "archive")
    shutil.copytree(first[0].folder, copied.folder, dirs_exist_ok=True)
    copied.rows = [dict(row) for row in first[0].rows]
    return copied


@pytest.fixture
def decoded(monkeypatch):
    """Counts the photos that are decoded."""
    counted = []
    real = components.ingest.extract.face_of

    def count(data, box, settings):
        counted.append(len(data))
        return real(data, box, settings)

    monkeypatch.setattr(components.ingest.extract, "face_of", count)
    return counted


def assert_as_if_alone(source: Archive, output, tmp_path, *settings: str) -> None:
    ingest(source.write(), tmp_path / "alone", *settings)
    assert shard_bytes(output) == shard_bytes(tmp_path / "alone")
    assert (output / "index.json").read_bytes() == (tmp_path / "alone" / "index.json").read_bytes()
    assert [(r.path, r.reason) for r in rejects(output)] == [(r.path, r.reason) for r in rejects(tmp_path / "alone")]


def test_only_new_photos_are_decoded(first, source, decoded, tmp_path):
    source.fill(10, first=200)
    counts = ingest(source.write(), tmp_path / "out", previous=first[1])
    # Besides the new ones only the broken one, which left no face behind.
    assert len(decoded) == 10 + 1
    assert counts["photos_new"] == 10
    assert counts["examples"] == 129
    decoded.clear()
    assert_as_if_alone(source, tmp_path / "out", tmp_path)
    assert len(decoded) == 133


def test_photos_are_known_by_content_wherever_they_lie_now(first, source, decoded, tmp_path):
    for row in source.rows:
        moved = f"moved/{row['path']}"
        (source.folder / moved).parent.mkdir(parents=True, exist_ok=True)
        (source.folder / row["path"]).rename(source.folder / moved)
        os.utime(source.folder / moved)
        row["path"] = moved
    counts = ingest(source.write(), tmp_path / "out", previous=first[1])
    assert len(decoded) == 1
    assert counts["photos_new"] == 0
    assert {example.path for example in all_examples(tmp_path / "out")} <= {row["path"] for row in source.rows}
    assert_as_if_alone(source, tmp_path / "out", tmp_path)


def test_a_photo_that_changed_in_place_is_decoded(first, source, decoded, tmp_path):
    changed = source.folder / source.rows[0]["path"]
    changed.write_bytes(stored(picture(999)))
    counts = ingest(source.write(), tmp_path / "out", previous=first[1])
    assert (len(decoded), counts["photos_new"]) == (2, 1)
    assert_as_if_alone(source, tmp_path / "out", tmp_path)


def test_unchanged_photos_are_not_even_read(first, source, monkeypatch, tmp_path):
    from components.storage import by_name

    paths = set()
    real = by_name._Folder.read

    def read(self: by_name._Folder, path: str) -> bytes:
        paths.add(path)
        return real(self, path)

    monkeypatch.setattr(by_name._Folder, "read", read)
    ingest(source.write(), tmp_path / "out", previous=first[1])
    assert paths == {"broken.jpg", "copy.jpg", "other age.jpg", "01/8.jpg"}  # rejects, to show them on a sheet


def test_new_labels_and_splits_get_into_the_examples(first, source, decoded, tmp_path):
    for row in source.rows[:60]:
        row["age"] = row["age"] + 1
    settings = ["ingest.split.folds=4", "ingest.split.seed=9", "ingest.shard_mb=0.05"]
    ingest(source.write(), tmp_path / "out", *settings, previous=first[1])
    assert len(decoded) == 1
    assert_as_if_alone(source, tmp_path / "out", tmp_path, *settings)


def test_what_was_left_out_for_another_comes_back_without_being_decoded(first, source, decoded, tmp_path):
    source.rows = [row for row in source.rows if row["path"] not in ("01/8.jpg", "00/7.jpg", "broken.jpg")]
    ingest(source.write(), tmp_path / "out", previous=first[1])
    assert decoded == []
    assert {"copy.jpg", "other age.jpg"} <= {example.path for example in all_examples(tmp_path / "out")}
    assert_as_if_alone(source, tmp_path / "out", tmp_path)


def test_faces_that_were_made_otherwise_are_not_used(first, source, decoded, tmp_path):
    ingest(source.write(), tmp_path / "out", "photo.size=24", previous=first[1])
    assert len(decoded) == 123
    assert_as_if_alone(source, tmp_path / "out", tmp_path, "photo.size=24")


@pytest.mark.parametrize("name", ["decode.py", "jpeg.py", "crop.py", "encode.py"])
def test_any_code_that_makes_faces_counts_as_how_they_are_made(name, monkeypatch, tmp_path):
    before = examples_index.making(PhotoSettings())
    package = shutil.copytree(Path(photo.__file__).parent, tmp_path / "photo")
    monkeypatch.setattr(photo, "__file__", str(package / "__init__.py"))
    assert examples_index.making(PhotoSettings()) == before
    (package / name).write_text((package / name).read_text() + "# another way\n")
    assert examples_index.making(PhotoSettings()) != before


@pytest.mark.parametrize("library", ["pillow", "simplejpeg", "pi-heif"])
def test_a_library_that_makes_faces_counts_by_its_version(library, monkeypatch):
    before = examples_index.making(PhotoSettings())
    real_version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0" if name == library else real_version(name))
    assert examples_index.making(PhotoSettings()) != before


def test_what_sees_how_faces_stand_counts_where_they_are_turned(monkeypatch, tmp_path):
    turned, plain = PhotoSettings(align=True), PhotoSettings()
    digests = [
        examples_index.making(plain),
        examples_index.making(turned),
        examples_index.making(PhotoSettings(turns=(90,))),
    ]
    assert len(set(digests)) == 3
    real_version = importlib.metadata.version
    with monkeypatch.context() as patch:
        patch.setattr(importlib.metadata, "version", lambda name: "0" if "opencv" in name else real_version(name))
        assert examples_index.making(plain) == digests[0] and examples_index.making(turned) != digests[1]
    package = shutil.copytree(Path(detection.__file__).parent, tmp_path / "detection")
    monkeypatch.setattr(detection, "__file__", str(package / "__init__.py"))
    for name in ("face.py", "turns.py", f"yunet/{yunet.WEIGHTS}"):
        before = examples_index.making(turned)
        (package / name).write_bytes((package / name).read_bytes() + b"\n")
        assert examples_index.making(turned) != before
    assert examples_index.making(plain) == digests[0]


def test_faces_that_were_not_turned_are_not_used_where_they_are_to_be(decoded, tmp_path):
    settings = ["photo.align=true", "photo.turns=[90]"]
    source = Archive(tmp_path / "faces")
    for number in range(12):
        source.add(f"{number}.jpg", jpeg(portrait(number).transpose(Image.Transpose.ROTATE_270).rotate(15)))
    ingest(source.write(), tmp_path / "plain")
    decoded.clear()
    ingest(source.write(), tmp_path / "turned", *settings, previous=tmp_path / "plain")
    assert len(decoded) == 12
    assert shard_bytes(tmp_path / "turned") != shard_bytes(tmp_path / "plain")
    decoded.clear()
    ingest(source.write(), tmp_path / "again", *settings, previous=tmp_path / "turned")
    assert decoded == []
    assert shard_bytes(tmp_path / "again") == shard_bytes(tmp_path / "turned")


@pytest.mark.parametrize("damage", ["shard", "listing", "no listing", "older listing"])
def test_a_damaged_artifact_costs_time_and_nothing_else(first, source, decoded, tmp_path, damage):
    broken = tmp_path / "broken"
    shutil.copytree(first[1], broken)
    if damage == "shard":
        for file in broken.glob("*/*.tfrecord"):
            file.write_bytes(file.read_bytes()[:-20_000])
    elif damage == "listing":
        (broken / "examples.parquet").write_bytes(b"PAR1 no parquet")
    elif damage == "older listing":  # of a Visage that did not list a column
        listed = pq.read_table(broken / "examples.parquet")
        pq.write_table(listed.drop(["version"]), broken / "examples.parquet")
    else:
        (broken / "examples.parquet").unlink()
    ingest(source.write(), tmp_path / "out", previous=broken)
    assert len(decoded) > 3
    assert_as_if_alone(source, tmp_path / "out", tmp_path)


def test_an_example_that_was_altered_is_noticed(first, source, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(first[1], broken)
    for file in broken.glob("train/*.tfrecord"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    with pytest.raises(VisageError, match=r"train-00000-of-00001\.tfrecord is damaged at byte") as raised:
        ingest(source.write(), tmp_path / "out", previous=broken)
    assert "Delete what is damaged" in raised.value.hint


def test_what_is_left_out_later_is_gone(first, source, tmp_path):
    source.rows = [row for row in source.rows if row["person"] != "p3"]
    ingest(source.write(), tmp_path / "out", previous=first[1])
    assert not any(example.person == "labels:p3" for example in all_examples(tmp_path / "out"))
    assert_as_if_alone(source, tmp_path / "out", tmp_path)


def test_the_summary_says_how_many_were_new(first, source, tmp_path):
    assert json.loads((first[1] / "summary.json").read_text())["photos_new"] == 123
    source.fill(5, first=300)
    ingest(source.write(), tmp_path / "out", previous=first[1])
    assert "5 of them new" in (tmp_path / "out" / "summary.html").read_text()
