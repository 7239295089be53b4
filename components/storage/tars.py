"""The files of a tar, and a tar unpacked while it is read."""

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from components.storage import kinds
from components.storage.entry import DamagedArchive, Source

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

_LARGEST_HEADER = 1 << 20
_LARGEST_HEADERS = 16 << 20
_LARGEST_FILE = 1 << 62
_LARGEST_RATIO = 100
_ALWAYS_ALLOWED = 100_000_000
_CHUNK = 512 * tarfile.BLOCKSIZE

BOMB = f"it unpacks to more than {_LARGEST_RATIO} times its size: a bomb"
"""What is said of a tar that does."""


class Member(NamedTuple):
    """A file in a tar.

    Attributes:
        info: as tarfile has it.
        holes: whether it is stored without its holes.
        fits: whether the pieces that are stored fit into the room that its header says it takes.
    """

    info: tarfile.TarInfo
    holes: bool
    fits: bool


def unpacked(source: Source, file: BinaryIO) -> BinaryIO:
    """The tar as a file that can be read, and moved forward in. Streams that follow one another (pigz, `cat`) are one."""
    return kinds.UNPACK[source.packing](file) if source.packing else file


def most_unpacked(packed: int) -> int:
    """Bytes beyond which a compressed tar of so many bytes counts as a bomb."""
    return _LARGEST_RATIO * packed + _ALWAYS_ALLOWED


def members(source: Source, file: BinaryIO) -> Iterator[Member]:
    """What a tar holds, in its order, and the tars that were appended to it; only the headers are read.

    Raises:
        DamagedArchive: at the place from which on it cannot be read.
    """
    packed = file.seek(0, 2)
    file.seek(0)
    stream = _Headers(unpacked(source, file))
    most = most_unpacked(packed) if source.packing else packed
    try:
        start: int | None = 0
        while start is not None:
            end = yield from _one(stream, start, most, source.packing)
            start = _next_block(stream.file, end, most)
            if start == end:
                # After a damaged header tarfile stops as if the archive ended there.
                raise DamagedArchive("it is damaged from here on")
    except DAMAGE as error:
        raise DamagedArchive(f"it is damaged or cut short: {error}") from error


def _one(stream: "_Headers", start: int, most: int, packing: str) -> Any:
    """The files of the tar that begins here; gives where it ends."""
    stream.seek(start)
    with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        while (info := archive.next()) is not None:
            archive.members = []  # tarfile keeps every member it has seen
            stream.headers = 0
            if info.size < 0:
                raise DamagedArchive("it has a file of less than no bytes")
            if info.size > _LARGEST_FILE:
                raise DamagedArchive(f"it has a file of {info.size:,} bytes")
            # Of a file with holes `size` counts the holes; what it takes up ends where the next header is looked for.
            reach = archive.offset if info.sparse is not None else info.offset_data + info.size
            if packing and reach > most:
                raise DamagedArchive(BOMB)
            stored = sum(size for _, size in info.sparse) if info.sparse is not None else 0
            yield Member(info, info.sparse is not None, info.offset_data + stored <= archive.offset)
        return archive.offset


def _next_block(file: BinaryIO, start: int, most: int) -> int | None:
    """Where the next block begins that holds anything; None if nothing follows."""
    file.seek(start)
    place = start
    while chunk := file.read(_CHUNK):
        zeros = len(chunk) - len(chunk.lstrip(b"\0"))
        if zeros < len(chunk):
            return place + zeros // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
        place += len(chunk)
        if place > most:
            raise DamagedArchive(BOMB)
    return None


def read_sparse(file: BinaryIO, offset: int) -> bytes:
    """The bytes of a file with holes, the header of which lies at this offset.

    Raises:
        OSError: it cannot be read; or what is in `DAMAGE`.
    """
    file.seek(offset)
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        info = archive.next()
        content = archive.extractfile(info) if info else None
        if content is None:
            raise tarfile.ReadError("there is no file where one was")
        return content.read()


class _Headers:
    """A tar's file while only headers are read: one that claims to be huge is not read into memory, nor many small ones."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.seek, self.tell = file.seek, file.tell
        self.headers = 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise DamagedArchive(f"it has a header of {size:,} bytes")
        self.headers += size
        if self.headers > _LARGEST_HEADERS:
            raise DamagedArchive("it has a file with more than 16 MB of headers")
        return self.file.read(size)
