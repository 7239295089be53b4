"""Files, on this machine or in a store alike: open, read, write, list, remove, copy, bring home."""

import errno
import os
import shutil
import tempfile
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from components.storage import folders, names, remote


def open_file(place: str) -> BinaryIO:
    """A file for reading at any place in it; for one thread at a time.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    place = names.local(place)
    return remote.open_file(place) if names.is_remote(place) else open(place, "rb")  # noqa: PTH123


def read_bytes(place: str) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    place = names.local(place)
    return remote.read(place) if names.is_remote(place) else Path(place).read_bytes()


def read_range(place: str, start: int, size: int) -> bytes:
    """So many bytes of a file from a place in it; fewer where it ends.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    place = names.local(place)
    if names.is_remote(place):
        return remote.read(place, start, size)
    with open(place, "rb", buffering=0) as file:  # noqa: PTH123
        return os.pread(file.fileno(), size, start)


def read_each(places: Iterable[str]) -> Iterator[bytes]:
    """The bytes of many files, in their order; while one is used, the next ones are on their way.

    Raises:
        FileNotFoundError: one is not there.
        OSError: one cannot be read.
    """
    waiting = iter(places)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        coming = deque(pool.submit(read_bytes, place) for place in islice(waiting, _AT_ONCE))
        while coming:
            data = coming.popleft().result()
            coming.extend(pool.submit(read_bytes, place) for place in islice(waiting, 1))
            yield data


def write_bytes(place: str, data: bytes) -> None:
    """Write a file: it is whole and on disk, or as it was before. Folders above it are made.

    Raises:
        OSError: it cannot be written.
    """
    place = names.local(place)
    if names.is_remote(place):
        remote.write(place, data)
        return
    with _replacing(Path(place)) as file:
        file.write(data)


@contextmanager
def new_file(place: str) -> Iterator[BinaryIO]:
    """A file to write piece by piece: it is there, whole, when this ends without an error. Folders above it are made.

    It survives this process, but unlike what `write_bytes` wrote not the machine: for what can be made again.

    Raises:
        OSError: it cannot be written.
    """
    place = names.local(place)
    if names.is_remote(place):
        with tempfile.NamedTemporaryFile(prefix="visage-") as temporary:
            yield cast(BinaryIO, temporary.file)
            temporary.flush()
            remote.upload(Path(temporary.name), place)
        return
    with _replacing(Path(place), durable=False) as file:
        yield file


def fetch(place: str, path: Path) -> None:
    """Bring a file of anywhere home: a piece at a time, whole or not at all. One of the same disk is moved, not copied.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read or written.
    """
    place = names.local(place)
    if names.is_remote(place):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}{_PARTIAL}")
        try:
            remote.download(place, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(place, path)  # noqa: PTH105
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(place, str(path))


def copy(source: str, target: str) -> None:
    """Copy a file from anywhere to anywhere, a piece at a time: the copy is whole, or not there.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read or written.
    """
    source, target = names.local(source), names.local(target)
    if names.is_remote(target):
        if not names.is_remote(source):
            remote.upload(Path(source), target)
            return
        with tempfile.NamedTemporaryFile(prefix="visage-") as temporary:
            remote.download(source, Path(temporary.name))
            remote.upload(Path(temporary.name), target)
        return
    with open_file(source) as file, _replacing(Path(target)) as written:
        shutil.copyfileobj(file, written, 4 << 20)


def exists(place: str) -> bool:
    """Whether there is such a file.

    Raises:
        OSError: a store does not answer, or refuses.
    """
    place = names.local(place)
    return remote.info(place) is not None if names.is_remote(place) else os.path.isfile(place)  # noqa: PTH113 - it never raises


def file_names(folder: str) -> Iterator[str]:
    """Names of all files under a folder, as they come; none if it is not there. What is half written does not count.

    Raises:
        OSError: it cannot be read.
    """
    folder = names.local(folder)
    if names.is_remote(folder):
        yield from (file.name for file in remote.under(folder))
    elif Path(folder).is_dir():
        yield from (name for name, item in folders.walk(folder) if not item.name.endswith(_PARTIAL))


def remove(place: str) -> None:
    """Remove a file; nothing if there is none.

    Raises:
        OSError: it cannot be removed.
    """
    place = names.local(place)
    if names.is_remote(place):
        remote.remove(place)
    else:
        Path(place).unlink(missing_ok=True)


def remove_folder(folder: str) -> None:
    """Remove all files under a folder, and the folder; nothing if it is not there.

    Raises:
        OSError: one cannot be removed.
    """
    folder = names.local(folder)
    if not names.is_remote(folder):
        if os.path.lexists(folder):
            shutil.rmtree(folder)
        return
    paths = (names.joined(folder, name) for name in file_names(folder))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while some := list(islice(paths, 1000)):
            list(pool.map(remove, some))


_PARTIAL = ".partial"
_AT_ONCE = 16
"""Files of a store that are asked for at the same time: it answers one request as slowly as many."""
_BUFFER = 1 << 20
"""Bytes to be written at once; by default Python would write each small piece by itself."""


class _replacing:  # noqa: N801 - used like a function
    """A new file in the place of another, which is replaced when all is written."""

    def __init__(self, path: Path, durable: bool = True) -> None:
        self._path = path
        self._durable = durable

    def __enter__(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self._path.with_name(f".{self._path.name[:100]}.{uuid.uuid4().hex}{_PARTIAL}")
        self._file = self._partial.open("xb", _BUFFER)
        return self._file

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            if failed is None:
                self._file.flush()
                if self._durable:
                    os.fsync(self._file.fileno())
            self._file.close()
            if failed is None:
                self._partial.replace(self._path)
                if self._durable:
                    _sync(self._path.parent)
        finally:
            self._partial.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Put a folder's own entries on disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
