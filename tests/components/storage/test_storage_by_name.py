"""Photos read from folders, archives and Beam's file systems, whatever stands in them."""

import gzip
import os
import random
import struct
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.photo import PhotoRejected
from components.storage.by_name import open_files
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
    for kind, packing in (("plain.tar", ""), ("packed.tar.gz", "gz"), ("packed.tar.xz", "xz")):
        with tarfile.open(base / kind, f"w:{packing}") as packed:  # type: ignore[call-overload]
            packed.add(folder, ".")
    return base


@pytest.fixture(scope="module")
def bucket(local, s3):
    """The same files in a bucket; gives its address."""
    for name, data in FILES.items():
        s3(f"folder/{name}", data)
    for name in ("stored.zip", "packed.tar.gz"):
        s3(name, (local / name).read_bytes())
    return s3.url("")


@pytest.fixture
def root(request, local):
    """Where the files lie, as the parameter says."""
    if request.param.startswith("bucket/"):
        return f"{request.getfixturevalue('bucket')}{request.param.removeprefix('bucket/')}"
    return str(local / request.param)


anywhere = pytest.mark.parametrize(
    "root",
    [
        *("folder", "stored.zip", "deflated.zip", "plain.tar", "packed.tar.gz", "packed.tar.xz"),
        *("bucket/folder", "bucket/stored.zip", "bucket/packed.tar.gz"),
    ],
    indirect=True,
)


def reason(root: str, path: str, max_bytes: int = 100_000) -> str:
    with pytest.raises(PhotoRejected) as rejected:
        open_files(root, max_bytes).read(path)
    return rejected.value.reason


@anywhere
def test_many_threads_read_at_once(root):
    photos = open_files(root, 100_000)
    # The server is slow.
    names = random.Random(0).choices(list(FILES), k=20 if root.startswith("s3://") else 300)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(photos.read, names)) == [FILES[name] for name in names]


@anywhere
def test_a_missing_photo(root):
    assert reason(root, "00/none.jpg") == "photo_missing"


@anywhere
def test_a_photo_with_too_many_bytes(root):
    assert reason(root, "00/3.jpg", max_bytes=2002) == "photo_too_large"
    assert len(open_files(root, 2003).read("00/3.jpg")) == 2003


def test_a_root_that_no_store_is():
    with pytest.raises(VisageError, match=r"ftp://somewhere/photos: ftp:// is not read, but s3://"):
        open_files("ftp://somewhere/photos", 100)


@pytest.mark.parametrize("root", ["folder", "stored.zip", "plain.tar", "packed.tar.gz", "bucket/folder"], indirect=True)
def test_the_version_of_a_photo_changes_with_the_photo(root, tmp_path):
    photos = open_files(root, 100_000)
    assert photos.version("00/3.jpg") == open_files(root, 100_000).version("00/3.jpg") != ""
    assert photos.version("00/3.jpg") != photos.version("00/6.jpg")
    assert photos.version("none.jpg") == ""
    changed = tmp_path / "photo.jpg"
    changed.write_bytes(b"one")
    before = open_files(str(tmp_path), 100).version("photo.jpg")
    os.utime(changed, ns=(0, 12345))
    assert open_files(str(tmp_path), 100).version("photo.jpg") != before


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
            open_files(str(tmp_path / "photos.zip"), 100)


class TestATar:
    def test_that_is_compressed_is_unpacked_once_for_all_who_share_a_scratch_folder(self, local, tmp_path):
        first = open_files(str(local / "packed.tar.gz"), 100_000, scratch=tmp_path)
        modification_times = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
        second = open_files(str(local / "packed.tar.gz"), 100_000, scratch=tmp_path)
        assert first.read("00/3.jpg") == second.read("00/3.jpg") == FILES["00/3.jpg"]
        assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == modification_times

    def test_that_unpacks_to_far_more_than_itself(self, tmp_path):
        with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
            member = tarfile.TarInfo("zeros.jpg")
            member.size = 180_000_000
            file.write(member.tobuf())
            for _ in range(180):
                file.write(bytes(1_000_000))
        with pytest.raises(VisageError, match="a bomb"):
            open_files(str(tmp_path / "a.tar.gz"), 100, scratch=tmp_path)

    @pytest.mark.parametrize("length", [5000, 7000])
    def test_that_is_cut_short(self, tmp_path, length):
        path = tmp_path / "photos.tar"
        with tarfile.open(path, "w") as packed:
            for name in ("a.jpg", "b.jpg"):
                (tmp_path / name).write_bytes(b"x" * 3000)
                packed.add(tmp_path / name, name)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(VisageError, match=r"photos\.tar cannot be read"):
            open_files(str(path), 10_000)
