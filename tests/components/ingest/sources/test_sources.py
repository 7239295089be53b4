"""What all sources have in common, and how a new one is added."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.ingest.sources import photos_root, records
from components.ingest.sources.settings import SOURCES, SourceSettings
from components.step.settings import build
from schemas.error import VisageError

PROJECT = Path(__file__).parents[4]


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(VisageError, match="did you mean utkface") as caught:
        build(SourceSettings, {}, ["kind=utkfaces"])
    assert caught.value.exit_code == 2


def test_a_folder_may_be_named_like_a_number():
    settings = build(SourceSettings, {}, ["path=2024", "table.age=7"])
    assert (settings.path, settings.table.age) == ("2024", "7")
    with pytest.raises(VisageError, match=r"no setting pth"):
        build(SourceSettings, {}, ["pth=2024"])


def test_a_kind_is_a_module_of_that_name():
    folder = PROJECT / "components/ingest/sources"
    assert all((folder / f"{kind}.py").is_file() for kind in SOURCES)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_says_that_it_is_not_there(kind, tmp_path):
    for path, text in (("", "source.path is not set"), (str(tmp_path / "none"), "There is no")):
        with pytest.raises(VisageError, match=text) as caught:
            list(records(SourceSettings(kind=kind, path=path)))
        assert caught.value.exit_code == 2
    with pytest.raises(VisageError, match=r"source\.photos"):
        list(records(SourceSettings(kind=kind, path=str(tmp_path), photos=str(tmp_path / "none"))))


@pytest.mark.parametrize("kind", ["file_names", "utkface"])
def test_labels_in_names_are_those_of_a_folder_and_not_of_what_lies_beside_a_file(kind, tmp_path):
    (tmp_path / "25_0_0_2017.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(VisageError, match="neither a folder nor an archive") as caught:
        list(records(SourceSettings(kind=kind, path=str(tmp_path / "notes.txt"))))
    assert caught.value.exit_code == 2


def test_photos_lie_with_the_labels_unless_it_is_said_where(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/imdb.mat").touch()
    (tmp_path / "folder.zip").mkdir()

    def root(path, photos=""):
        return photos_root(SourceSettings(path=path, photos=photos))

    assert root("~/faces") == root("~/faces/imdb.mat") == str(tmp_path / "faces")
    assert root(str(tmp_path / "faces.tar")) == str(tmp_path / "faces.tar")
    assert root(str(tmp_path / "folder.zip")) == str(tmp_path / "folder.zip")
    assert root("~/faces", "~/elsewhere.zip") == str(tmp_path / "elsewhere.zip")
    assert root("s3://bucket/imdb_crop") == root("s3://bucket/imdb_crop/imdb.mat") == "s3://bucket/imdb_crop"
    assert root("gs://bucket/faces.tar") == "gs://bucket/faces.tar"
    assert root("~/faces", "gs://bucket/faces") == "gs://bucket/faces"


def test_a_new_source_is_one_file_and_one_line(tmp_path):
    """What README.md says, done to a copy of the project."""
    readme = (PROJECT / "components/ingest/sources/README.md").read_text()
    file, line = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    for name in ("components", "schemas"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    sources = tmp_path / "components/ingest/sources"
    (sources / "agedb.py").write_text(file)
    settings = (sources / "settings.py").read_text()
    (sources / "settings.py").write_text(settings.replace("SOURCES = {\n", f"SOURCES = {{\n{line}"))
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("0_MariaCallas_35_f.jpg", "1_MariaCallas_41_f.jpg", "2_Nobody_f.jpg"):
        (photos / name).touch()
    code = (
        "from components.ingest.sources import records\n"
        "from components.ingest.sources.settings import SourceSettings\n"
        f"for r in records(SourceSettings(kind='agedb', path={str(photos)!r})): print(r.person, r.age, r.gender, r.malformed)"
    )
    completed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert completed.stdout.splitlines() == [
        "agedb:MariaCallas 35 female ",
        "agedb:MariaCallas 41 female ",
        "agedb:2_Nobody_f.jpg None None the name is not NUMBER_PERSON_AGE_GENDER.jpg",
    ]
