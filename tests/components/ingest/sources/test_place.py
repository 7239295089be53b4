"""Folders, archives and buckets, read in place."""

import io
import tarfile
import zipfile

import pytest

from components.ingest.sources import place, records
from components.ingest.sources.settings import SourceSettings
from schemas.error import VisageError
from tests.components.ingest.sources.imdb_wiki_files import face, write_mat


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
    assert len(place.photo_names(str(file))) == 20
    whole = file.read_bytes()
    for damaged in (b"", b"no archive" * 100, whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(VisageError, match="cannot be read to its end"):
            place.photo_names(str(file))


def test_files_of_a_tar_may_begin_with_a_dot_and_slash(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1_1970-1-1_2000.jpg").write_bytes(b"1")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a", ".")
    assert place.photo_names(str(tmp_path / "a.tar")) == ["1_1970-1-1_2000.jpg"]
    assert place.read(str(tmp_path / "a.tar"), "1_1970-1-1_2000.jpg") == b"1"


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/1.jpg").touch()
    (tmp_path / "faces/again").symlink_to(tmp_path / "faces", target_is_directory=True)
    assert place.photo_names(str(tmp_path / "faces")) == ["1.jpg"]


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
    assert (place.way_out(path) == "") == safe
    assert place.within("set", path) == (f"set/{path}" if safe and path else path)


@pytest.mark.slow
def test_a_bucket(tmp_path, monkeypatch):
    """Beam's S3 filesystem against a local server that speaks S3."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="faces")
        client.upload_file(str(write_mat(tmp_path, face()) / "imdb.mat"), "faces", "imdb_crop/imdb.mat")
        client.put_object(Bucket="faces", Key="utk/part1/24_0_1_2017.jpg", Body=b"")
        client.put_object(Bucket="faces", Key="labels.csv", Body=b"path,age\n1.jpg,3\n")

        def read(kind, path):
            return list(records(SourceSettings(kind=kind, path=path)))

        assert [record.age for record in read("imdb_wiki", "s3://faces/imdb_crop")] == [39]
        assert [record.path for record in read("utkface", "s3://faces/utk")] == ["part1/24_0_1_2017.jpg"]
        assert [record.age for record in read("table", "s3://faces/labels.csv")] == [3]
        with pytest.raises(VisageError, match=r"There is no imdb\.mat or wiki\.mat in s3://faces/utk"):
            read("imdb_wiki", "s3://faces/utk")
        with pytest.raises(VisageError, match=r"s3://faces/none\.csv cannot be read"):
            read("table", "s3://faces/none.csv")
    finally:
        server.stop()


def test_a_place_that_no_filesystem_of_beam_reads():
    with pytest.raises(VisageError, match="ftp://somewhere/faces cannot be read"):
        list(records(SourceSettings(kind="utkface", path="ftp://somewhere/faces")))
