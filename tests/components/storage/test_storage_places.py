"""Folders, archives and buckets, read in places."""

import io
import tarfile
import zipfile

import pytest

from components.ingest.sources import records
from components.ingest.sources.settings import SourceSettings
from components.storage import places
from components.storage.names import way_out
from schemas.error import VisageError
from tests.components.ingest.sources.imdb_wiki_files import face, write_mat


def photo_names(root: str) -> list[str]:
    return [picture.name for picture in places.picture_names(root)]


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tgz", "tar.xz"])
def test_an_archive_that_is_damaged(tmp_path, suffix):
    file = tmp_path / f"faces.{suffix}"
    content = bytes(range(256)) * 80
    if suffix == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(20):
                archive.writestr(f"{number}.jpg", content)
    else:
        packing = {"tar": "w", "tar.xz": "w:xz"}.get(suffix, "w:gz")
        with tarfile.open(file, packing) as archive:  # type: ignore[call-overload]
            for number in range(20):
                entry = tarfile.TarInfo(f"{number}.jpg")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    assert len(photo_names(str(file))) == 20
    whole = file.read_bytes()
    for damaged in (b"", b"no archive" * 100, whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(VisageError, match="cannot be read to its end"):
            photo_names(str(file))


def test_files_of_a_tar_may_begin_with_a_dot_and_slash(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1_1970-1-1_2000.jpg").write_bytes(b"1")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a", ".")
    assert photo_names(str(tmp_path / "a.tar")) == ["1_1970-1-1_2000.jpg"]
    assert places.read(str(tmp_path / "a.tar"), "1_1970-1-1_2000.jpg") == b"1"


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/1.jpg").touch()
    (tmp_path / "faces/again").symlink_to(tmp_path / "faces", target_is_directory=True)
    assert photo_names(str(tmp_path / "faces")) == ["1.jpg"]


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("a/b.jpg", True),
        ("a/../b.jpg", True),
        ("a/../../b.jpg", False),
        ("/a.jpg", False),
        ("a\0.jpg", False),
        ("", True),
    ],
)
def test_the_way_out_of_a_folder(path, safe):
    assert (way_out(path) == "") == safe
    assert places.within("set", path) == (f"set/{path}" if safe and path else path)


def test_labels_and_photos_in_a_bucket(s3, tmp_path):
    s3("imdb_crop/imdb.mat", (write_mat(tmp_path, face()) / "imdb.mat").read_bytes())
    s3("utk/part1/24_0_1_2017.jpg", b"")
    s3("labels.csv", b"path,age\n1.jpg,3\n")

    def read(kind, name):
        return list(records(SourceSettings(kind=kind, path=s3.url(name))))

    assert [record.age for record in read("imdb_wiki", "imdb_crop")] == [39]
    assert [record.path for record in read("utkface", "utk")] == ["part1/24_0_1_2017.jpg"]
    assert [record.age for record in read("table", "labels.csv")] == [3]
    with pytest.raises(VisageError, match=r"There is no imdb\.mat or wiki\.mat in s3://[\w-]+/utk"):
        read("imdb_wiki", "utk")
    with pytest.raises(VisageError, match=r"none\.csv cannot be read"):
        read("table", "none.csv")


def test_a_place_that_no_store_is():
    with pytest.raises(VisageError, match=r"ftp:// is not read, but s3://"):
        list(records(SourceSettings(kind="utkface", path="ftp://somewhere/faces")))
