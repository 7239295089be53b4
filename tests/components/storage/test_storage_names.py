"""Names as other systems write them: what a label calls a file, and what the file is called where it lies."""

import itertools
import os
import unicodedata
import zipfile
from pathlib import Path

import pytest

from components.ingest.sources import records
from components.ingest.sources.settings import SourceSettings
from components.score.settings import ScoreSettings
from components.storage import places
from components.storage.names import local, shown, way_out
from schemas.error import VisageError
from tests.components.score.made_photos import tarred, zipped
from tests.components.storage.doors import listed, read_by_name

NFC, NFD = (unicodedata.normalize(form, "Zoë/Ürlaub/é.jpg") for form in ("NFC", "NFD"))


def root_with(kind: str, base: Path, name: str, data: bytes = b"x") -> str:
    """A file of this name in a folder, zip or tar; gives its root."""
    if kind == "folder":
        (base / kind / name).parent.mkdir(parents=True, exist_ok=True)
        (base / kind / name).write_bytes(data)
        return str(base / kind)
    return str(zipped(base / "a.zip", {name: data}) if kind == "zip" else tarred(base / "a.tar", {name: data}))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize(("stored_name", "requested_name"), list(itertools.product((NFC, NFD), (NFC, NFD))))
def test_accents_in_either_form_find_the_file(tmp_path, kind, stored_name, requested_name):
    root = root_with(kind, tmp_path, stored_name)
    assert read_by_name(root, [requested_name]) == {requested_name: b"x"}
    assert places.read(root, requested_name) == b"x"


def test_accents_in_either_form_find_the_file_in_a_bucket(s3):
    s3(f"names/{NFD}", b"x")
    assert read_by_name(s3.url("names"), [NFC, NFD]) == {NFC: b"x", NFD: b"x"}


def test_parts_of_a_path_may_be_in_different_forms(tmp_path):
    mixed = unicodedata.normalize("NFD", "Zoë") + "/" + unicodedata.normalize("NFC", "Ürlaub/é.jpg")
    assert read_by_name(root_with("folder", tmp_path, mixed), [NFC, NFD]) == {NFC: b"x", NFD: b"x"}


def test_a_file_that_comes_later_is_found_too(tmp_path):
    root = root_with("folder", tmp_path, NFD)
    other = unicodedata.normalize("NFC", "Zoë/Ürlaub/ö.jpg")
    assert "photo_missing" in str(read_by_name(root, [other])[other])
    os.utime(tmp_path / "folder" / Path(NFD).parent, ns=(1, 1))
    root_with("folder", tmp_path, unicodedata.normalize("NFD", other), b"later")
    assert read_by_name(root, [other]) == {other: b"later"}


def test_the_file_of_the_very_name_comes_first(tmp_path):
    root_with("folder", tmp_path, NFC, b"composed")
    root = root_with("folder", tmp_path, NFD, b"decomposed")
    assert read_by_name(root, [NFC, NFD]) == {NFC: b"composed", NFD: b"decomposed"}
    assert listed(root) == {NFC: b"composed", NFD: b"decomposed"}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_backslashes_of_a_table_are_separators(tmp_path, kind):
    assert read_by_name(root_with(kind, tmp_path, "ph/a/0.jpg"), ["ph\\a\\0.jpg", "ph\\a/0.jpg"]) == {
        "ph\\a\\0.jpg": b"x",
        "ph\\a/0.jpg": b"x",
    }


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_backslashes_of_an_archive_are_separators(tmp_path, kind):
    root = root_with(kind, tmp_path, "UTKFace\\1_0_0_2017.jpg")
    assert listed(root) == {"UTKFace/1_0_0_2017.jpg": b"x"}
    assert set(read_by_name(root, ["UTKFace/1_0_0_2017.jpg", "UTKFace\\1_0_0_2017.jpg"]).values()) == {b"x"}
    (row,) = records(SourceSettings(kind="utkface", path=root))
    assert (row.age, row.path, row.malformed) == (1, "UTKFace/1_0_0_2017.jpg", "")


def test_a_backslash_in_a_folder_is_a_letter_where_a_file_is_called_so(tmp_path):
    """As an unzip of this system leaves it that knows nothing of Windows."""
    root = root_with("folder", tmp_path, "UTKFace\\1_0_0_2017.jpg", b"backslash")
    root_with("folder", tmp_path, "UTKFace/1_0_0_2017.jpg", b"slash")
    assert read_by_name(root, ["UTKFace\\1_0_0_2017.jpg"]) == {"UTKFace\\1_0_0_2017.jpg": b"backslash"}
    assert [row.age for row in records(SourceSettings(kind="utkface", path=root))] == [1, 1]


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_bytes_that_are_not_utf8_are_found_as_they_are_shown(tmp_path, kind):
    root = root_with(kind, tmp_path, os.fsdecode(b"caf\xe9.jpg"))
    (picture,) = places.picture_names(root)
    assert picture.name == r"caf\xe9.jpg"
    assert read_by_name(root, [picture.name]) == {r"caf\xe9.jpg": b"x"}


def test_every_file_of_a_name_that_stands_twice_is_a_row(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for data in (b"old", b"new"):
            archive.writestr("1_0_0_2017.jpg", data)
    rows = list(records(SourceSettings(kind="utkface", path=str(tmp_path / "a.zip"))))
    assert [row.malformed for row in rows] == ["another file of the same name comes after it in the archive", ""]


def test_folders_behind_links_are_listed_for_ingest_each_once(tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "disk" / "deep" / "2.jpg").touch()
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "1.jpg").touch()
    (tmp_path / "faces" / "disk").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "faces")
    assert [picture.name for picture in places.picture_names(str(tmp_path / "faces"))] == ["1.jpg", "disk/deep/2.jpg"]


@pytest.mark.parametrize("settings", [SourceSettings, ScoreSettings])
def test_the_encoding_of_names_is_one_that_there_is(settings):
    assert settings(names_encoding="cp932").names_encoding == "cp932"
    for wrong in ("klingon", "hex"):
        with pytest.raises(ValueError, match="there is no such encoding; cp932, cp866"):
            settings(names_encoding=wrong)


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("file:///srv/a%20b#1?.jpg", "/srv/a b#1?.jpg"),
        ("file:/srv/a.jpg", "/srv/a.jpg"),
        ("FILE://localhost/srv/a.jpg", "/srv/a.jpg"),
        ("s3://bucket/a%20b", "s3://bucket/a%20b"),
        ("a%20b", "a%20b"),
    ],
)
def test_a_file_url_is_a_path(place, path):
    assert local(place) == path


def test_a_file_of_another_machine_is_one_message(tmp_path):
    with pytest.raises(VisageError, match="names a file of another machine, server"):
        places.check("file://server/faces", "source.path")


@pytest.mark.parametrize(
    ("name", "why"),
    [("C:\\a.jpg", "absolute"), ("\\\\server\\a.jpg", "absolute"), ("a\\..\\..\\b.jpg", "climbs"), ("12:30/a.jpg", "")],
)
def test_ways_out_of_a_folder_on_windows(name, why):
    assert why in way_out(name) and bool(way_out(name)) == bool(why)


def test_bytes_are_shown_as_text():
    assert shown(b"caf\xc3\xa9 \xe9") == r"café \xe9"
