"""Photos read from folders, archives and Beam's file systems, whatever stands in them."""

import os
import random
import struct
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.ingest.photos import open_photos
from components.photo import PhotoRejected
from schemas.error import VisageError

FILES = {f"{number % 3:02d}/{number}.jpg": random.Random(number).randbytes(2000 + number) for number in range(60)}
FILES["grey.bmp"] = b"\x80" * 50_000


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The same files as a folder, as zips and as a tar."""
    base = tmp_path_factory.mktemp("roots")
    folder = base / "folder"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for kind, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(base / f"{kind}.zip", "w", method) as packed:
            for name, data in FILES.items():
                packed.writestr(name, data)
    with tarfile.open(base / "plain.tar", "w") as packed:
        packed.add(folder, ".")
    return base


@pytest.fixture(scope="module")
def bucket(local):
    """The same files in a bucket of a local server that speaks S3; gives the bucket's address."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="photos")
        for name, data in FILES.items():
            client.put_object(Bucket="photos", Key=f"folder/{name}", Body=data)
        client.upload_file(str(local / "stored.zip"), "photos", "stored.zip")
        yield "s3://photos"
    server.stop()


@pytest.fixture
def root(request, local):
    """Where the files lie, as the parameter says."""
    if request.param.startswith("bucket/"):
        return f"{request.getfixturevalue('bucket')}/{request.param.removeprefix('bucket/')}"
    return str(local / request.param)


anywhere = pytest.mark.parametrize(
    "root",
    ["folder", "stored.zip", "deflated.zip", "plain.tar", "bucket/folder", "bucket/stored.zip"],
    indirect=True,
)


def reason(root: str, path: str, max_bytes: int = 100_000) -> str:
    with pytest.raises(PhotoRejected) as rejected:
        open_photos(root, max_bytes).read(path)
    return rejected.value.reason


@anywhere
def test_many_threads_read_at_once(root):
    photos = open_photos(root, 100_000)
    # Beam makes a new client for each file of a bucket, which takes its time.
    names = random.Random(0).choices(list(FILES), k=10 if root.endswith("photos/folder") else 300)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(photos.read, names)) == [FILES[name] for name in names]


@anywhere
def test_a_missing_photo(root):
    assert reason(root, "00/none.jpg") == "photo_missing"


@anywhere
def test_a_photo_with_too_many_bytes(root):
    assert reason(root, "00/3.jpg", max_bytes=2002) == "photo_too_large"
    assert len(open_photos(root, 2003).read("00/3.jpg")) == 2003


def test_a_root_that_no_filesystem_reads():
    with pytest.raises(VisageError, match=r"no filesystem for ftp://somewhere/photos"):
        open_photos("ftp://somewhere/photos", 100)


@pytest.mark.parametrize("root", ["folder", "stored.zip", "plain.tar"], indirect=True)
def test_the_version_of_a_photo_changes_with_the_photo(root, tmp_path):
    photos = open_photos(root, 100_000)
    assert photos.version("00/3.jpg") == open_photos(root, 100_000).version("00/3.jpg") != ""
    assert photos.version("00/3.jpg") != photos.version("00/6.jpg")
    assert photos.version("none.jpg") == ""
    changed = tmp_path / "photo.jpg"
    changed.write_bytes(b"one")
    before = open_photos(str(tmp_path), 100).version("photo.jpg")
    os.utime(changed, ns=(0, 12345))
    assert open_photos(str(tmp_path), 100).version("photo.jpg") != before


class TestAFolder:
    def test_with_names_that_no_file_can_have(self, tmp_path):
        for name in ("x" * 400, "a.jpg/b.jpg"):
            (tmp_path / "a.jpg").write_bytes(b"")
            assert reason(str(tmp_path), name) == "photo_missing"

    def test_with_what_is_no_file(self, tmp_path):
        (tmp_path / "folder.jpg").mkdir()
        os.mkfifo(tmp_path / "pipe.jpg")
        (tmp_path / "loop.jpg").symlink_to("loop.jpg")
        assert reason(str(tmp_path), "folder.jpg") == "not_a_photo"
        assert reason(str(tmp_path), "pipe.jpg") == "not_a_photo"
        assert reason(str(tmp_path), "loop.jpg") == "photo_missing"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_with_a_file_that_may_not_be_read(self, tmp_path):
        (tmp_path / "secret.jpg").write_bytes(b"x")
        (tmp_path / "secret.jpg").chmod(0)
        assert reason(str(tmp_path), "secret.jpg") == "photo_unreadable"


class TestAZip:
    def test_that_says_a_wrong_checksum(self, tmp_path):
        path = tmp_path / "bad.zip"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("a.jpg", b"content of the photo")
        path.write_bytes(path.read_bytes().replace(b"content of", b"another of"))
        assert reason(str(path), "a.jpg") == "photo_unreadable"

    def test_with_a_damaged_member(self, tmp_path):
        path = tmp_path / "bad.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("a.jpg", b"content " * 500)
        data = bytearray(path.read_bytes())
        data[40:50] = b"\xff" * 10
        path.write_bytes(data)
        assert reason(str(path), "a.jpg") == "photo_unreadable"

    def test_that_unpacks_to_more_than_it_says(self, tmp_path):
        path = tmp_path / "bomb.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("a.jpg", bytes(5_000_000))
        data = path.read_bytes()
        path.write_bytes(data.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 1000)))
        assert reason(str(path), "a.jpg") == "photo_unreadable"

    def test_with_another_compression(self, tmp_path):
        path = tmp_path / "lzma.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
            packed.writestr("a.jpg", b"x")
        assert reason(str(path), "a.jpg") == "photo_unreadable"

    def test_that_is_encrypted(self, tmp_path):
        path = tmp_path / "secret.zip"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("a.jpg", b"x")
        data = bytearray(path.read_bytes())
        data[data.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(data)
        assert reason(str(path), "a.jpg") == "photo_unreadable"

    def test_that_is_none(self, tmp_path):
        (tmp_path / "photos.zip").write_bytes(b"<html>404</html>")
        with pytest.raises(VisageError, match=r"photos\.zip cannot be read"):
            open_photos(str(tmp_path / "photos.zip"), 100)


class TestATar:
    def test_that_is_compressed(self, tmp_path):
        with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as packed:
            packed.add(__file__, "a.jpg")
        with pytest.raises(VisageError, match="cannot be read: it is compressed, by gzip") as refused:
            open_photos(str(tmp_path / "photos.tar.gz"), 100)
        assert "must not be compressed" in refused.value.hint

    @pytest.mark.parametrize("length", [5000, 7000])
    def test_that_is_cut_short(self, tmp_path, length):
        path = tmp_path / "photos.tar"
        with tarfile.open(path, "w") as packed:
            for name in ("a.jpg", "b.jpg"):
                (tmp_path / name).write_bytes(b"x" * 3000)
                packed.add(tmp_path / name, name)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(VisageError, match=r"photos\.tar cannot be read"):
            open_photos(str(path), 10_000)
