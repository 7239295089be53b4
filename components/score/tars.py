"""The files of a tar, and a tar unpacked while it is read."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from components.score.entry import Source
from components.score.zips import DamagedArchive

DAMAGE = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    ValueError,
    OverflowError,
    RecursionError,
)
"""What the standard library raises over a damaged tar or its compression, beyond OSError."""

_OPEN: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
_LARGEST_HEADER = 1 << 20
_LARGEST_RATIO = 100
_ALWAYS_ALLOWED = 100_000_000


def unpacked(source: Source, file: BinaryIO) -> BinaryIO:
    """The tar as a file that can be read, and moved forward in."""
    return _OPEN[source.packing](file) if source.packing else file


def members(source: Source, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """What a tar holds, in its order; only the headers are read.

    Raises:
        DamagedArchive: at the place from which on it cannot be read.
    """
    packed = file.seek(0, 2)
    file.seek(0)
    stream = _Headers(unpacked(source, file))
    try:
        with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
            while (member := archive.next()) is not None:
                archive.members = []  # tarfile keeps every member it has seen
                if member.size < 0:
                    raise DamagedArchive("it has a file of less than no bytes")
                reach = member.offset_data + member.size
                if source.packing and reach > _LARGEST_RATIO * packed + _ALWAYS_ALLOWED:
                    raise DamagedArchive(f"it unpacks to more than {_LARGEST_RATIO} times its size: a bomb")
                yield member
            # After a damaged header tarfile stops as if the archive ended there.
            stream.seek(archive.offset)
            if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise DamagedArchive("it is damaged from here on")
    except DAMAGE as error:
        raise DamagedArchive(f"it is damaged or cut short: {error}") from error


class _Headers:
    """A tar's file while only headers are read: one that claims to be huge is not read into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise DamagedArchive(f"it has a header of {size:,} bytes")
        return self._file.read(size)
