"""What a file is by its first bytes: an archive that is read, one that is not, or something else."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from components.storage.entry import Source


class _Bzip2(bz2.BZ2File):
    """Over damaged data it raises an EOFError; bz2 itself raises an OSError, as if the file could not be read."""

    def read(self, size: int | None = -1) -> bytes:
        with _damage_is_no_oserror():
            return super().read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        with _damage_is_no_oserror():
            return super().seek(offset, whence)


@contextmanager
def _damage_is_no_oserror() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise EOFError(str(error)) from error


PACKINGS: dict[bytes, Any] = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}
UNPACK: dict[str, Any] = {"gz": gzip.open, "bz2": _Bzip2, "xz": lzma.open}
PACKED_BY = {"gz": "gzip", "bz2": "bzip2", "xz": "xz"}

_NOT_READ = {
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "packed by Zstandard",
    b"\x04\x22\x4d\x18": "packed by LZ4",
    b"LZIP": "packed by lzip",
    b"\x1f\x9d": "packed by compress",
    b"\x1f\xa0": "packed by compress",
    b"MSCF": "a cabinet archive",
    b"**ACE**": "an ACE archive",
}
TARS = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
"""What tars are called, packed or not."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def archive_of(place: str, file: BinaryIO) -> Source | None:
    """The archive that a file is; None if it is none. A file that is called `.zip` or `.tar` is taken for one.

    Raises:
        OSError: it cannot be read.
    """
    start = file.read(tarfile.BLOCKSIZE)
    if start.startswith(_ZIP):
        return Source("zip", place)
    packing = packing_of(start)
    is_called_tar = place.lower().endswith(TARS) and not not_read(start)
    if packing:
        file.seek(0)
        is_tar = is_called_tar or _begins_tar(_unpacked_start(packing, file))
        return Source("tar", place, packing) if is_tar else None
    if is_called_tar or _begins_tar(start):
        return Source("tar", place)
    return Source("zip", place) if place.lower().endswith(".zip") and not not_read(start) else None


def packing_of(start: bytes) -> Any:
    """How a file is compressed that begins so: `gz`, `bz2`, `xz`, or an empty text."""
    return next((packing for mark, packing in PACKINGS.items() if start.startswith(mark)), "")


def not_read(start: bytes) -> str:
    """What a file is that begins so, if it is an archive that is not read here; else empty."""
    return next((kind for mark, kind in _NOT_READ.items() if start.startswith(mark)), "")


def kind_of(start: bytes) -> str:
    """What a file is that begins so and is no archive that is read: another one, or packed; else empty."""
    packing = packing_of(start)
    return f"packed by {PACKED_BY[packing]}, and no tar" if packing else not_read(start)


def _begins_tar(start: bytes) -> bool:
    """Whether this is the header of a tar of any kind: it has a checksum."""
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _unpacked_start(packing: str, file: BinaryIO) -> bytes:
    try:
        return UNPACK[packing](file).read(tarfile.BLOCKSIZE)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""
