"""Any bytes of a file, by where they lie, for as many threads as there are."""

import os
import threading
from typing import BinaryIO, Protocol

from components.storage import files, names, remote, tars
from components.storage.entry import Source

_AHEAD = 4 << 20


class Blocks(Protocol):
    """A file that is read at any place in it."""

    def at(self, offset: int, size: int) -> bytes:
        """These bytes, or as many of them as there are.

        Raises:
            OSError: it cannot be read.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def blocks(source: Source) -> Blocks:
    """An archive, opened; what is packed as a whole is unpacked while it is read, and best read from start to end.

    Raises:
        OSError: it cannot be opened.
    """
    if source.packing:
        return _Stream(source)
    return _Remote(source.place) if names.is_remote(source.place) else _Local(source.place)


class _Local:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def at(self, offset: int, size: int) -> bytes:
        return os.pread(self._file, size, offset)

    def close(self) -> None:
        os.close(self._file)


class _Remote:
    """Reads ahead where one block follows the other, and nothing more than is asked for where it does not."""

    def __init__(self, place: str) -> None:
        file = remote.info(place)
        if file is None:
            raise FileNotFoundError(2, "Not found", place)
        self._place, self._size = place, file.size
        self._local = threading.local()

    def at(self, offset: int, size: int) -> bytes:
        size = max(0, min(size, self._size - offset))
        start, block = getattr(self._local, "ahead", (0, b""))
        if not start <= offset <= offset + size <= start + len(block):
            follows = start <= offset <= start + len(block) + _AHEAD
            length = min(max(size, _AHEAD), self._size - offset) if follows else size
            start, block = offset, remote.read(self._place, offset, length)
            self._local.ahead = start, block
        return block[offset - start : offset - start + size]

    def close(self) -> None:
        self._local = threading.local()


class _Stream:
    def __init__(self, source: Source) -> None:
        self._packed = files.open_file(source.place)
        self._file: BinaryIO = tars.unpacked(source, self._packed)
        self._lock = threading.Lock()

    def at(self, offset: int, size: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)

    def close(self) -> None:
        self._file.close()
        self._packed.close()
