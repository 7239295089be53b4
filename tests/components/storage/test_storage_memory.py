"""What a million files cost: as much memory as a thousand."""

import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from components.storage import places
from components.storage.by_name import open_files
from components.storage.listing import Listing
from components.storage.state import state_of

MANY = 20_000
_MB = 1_000_000


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> dict[str, Path]:
    """Many tiny files as a zip and as a tar, and a list of many."""
    base = tmp_path_factory.mktemp("many")
    with zipfile.ZipFile(base / "a.zip", "w") as archive:
        for number in range(MANY):
            archive.writestr(f"folder of some length/{number:08d}.jpg", b"")
    header = bytearray(_header())
    with (base / "a.tar").open("wb") as file:
        for number in range(MANY):
            header[22:30] = b"%08d" % number
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            file.write(header)
        file.write(bytes(1024))
    return {"zip": base / "a.zip", "tar": base / "a.tar"}


def _header() -> bytes:
    import tarfile

    return tarfile.TarInfo("folder of some length/00000000.jpg").tobuf(tarfile.USTAR_FORMAT)


def peak(work: Callable[[], Iterable[object]]) -> tuple[int, int]:
    """How many things came, and the most memory that they took meanwhile."""
    tracemalloc.start()
    count = sum(1 for _ in work())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return count, most


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_listed(archives, kind):
    count, most = peak(lambda: Listing([str(archives[kind])]))
    assert count == MANY and most < _MB


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_by_name(archives, kind):
    files = []

    def opened() -> list:
        files.append(open_files(str(archives[kind]), 100))
        return files

    assert peak(opened)[1] < _MB
    assert files[0].read(f"folder of some length/{MANY - 1:08d}.jpg") == b""


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_in_the_order_of_their_names(archives, kind):
    count, most = peak(lambda: places.picture_names(str(archives[kind])))
    assert count == MANY and most < 2 * _MB


def test_in_one_folder(tmp_path):
    for number in range(12_000):
        (tmp_path / f"{number:08d}.jpg").touch()
    assert peak(lambda: Listing([str(tmp_path)]))[1] < 6 * _MB
    assert peak(lambda: state_of(str(tmp_path)))[1] < 6 * _MB
