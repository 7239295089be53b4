"""The bytes of listed files, read where they lie."""

import errno
import io
import os
import stat
import threading
import zlib
from collections.abc import Sequence
from typing import Any

from components.photo import PhotoRejected
from components.storage import names, remote, tars
from components.storage.blocks import Blocks, blocks
from components.storage.entry import SPARSE, UNKNOWN, Entry, Source
from components.storage.zips import DEFLATED, LOCAL_HEADER, STORED
from schemas.error import VisageError

_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_ONE_FILE_ONLY = (errno.EACCES, errno.EPERM, errno.EIO, errno.ENXIO, errno.EISDIR)
_LARGEST_RATIO = 200
_ALWAYS_UNPACKED = 10_000_000
_NAME_AND_EXTRA = 256
"""Bytes of a name and extra field that are read along with a file in a zip; longer ones cost another read."""


class Reader:
    """Reads entries, for any number of threads; each keeps the archive open that its last one was in.

    Fastest in the order of the listing. To be used in a `with` statement, or closed.
    """

    def __init__(self, sources: Sequence[Source], max_bytes: int) -> None:
        self._sources = sources
        self._max_bytes = max_bytes
        self._local = threading.local()
        self._opened: set[Blocks] = set()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all archives."""
        while self._opened:
            self._opened.pop().close()
        self._local = threading.local()

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry, at most as many as the settings allow.

        Raises:
            PhotoRejected: this one cannot be read.
            VisageError: its archive or bucket cannot be read any more, and nothing else in it either.
        """
        if entry.reason:
            raise PhotoRejected(entry.reason, entry.detail)
        check_size(entry.size, self._max_bytes)
        source = self._sources[entry.source]
        if source.kind == "folder":
            path = names.joined(source.place, os.fsdecode(entry.name))
            if names.is_remote(path):
                return read_remote(path, self._max_bytes, entry.size)
            return read_local(path, self._max_bytes)
        try:
            archive = self._blocks(entry.source)
            return self._zipped(archive, entry) if source.kind == "zip" else _tarred(archive, entry)
        except tars.DAMAGE as error:
            raise PhotoRejected("photo_unreadable", f"the archive is damaged here: {error}") from error
        except OSError as error:
            raise VisageError(
                f"{source.place} cannot be read any more: {error.strerror or error}.",
                "See that it is there, then give the same command again: it goes on from here.",
            ) from error

    def _blocks(self, index: int) -> Blocks:
        opened_index, archive = getattr(self._local, "opened", (None, None))
        if archive is None or opened_index != index:
            if archive is not None:
                self._opened.discard(archive)
                archive.close()
                self._local.opened = None, None
            archive = blocks(self._sources[index])
            self._opened.add(archive)
            self._local.opened = index, archive
        return archive

    def _zipped(self, archive: Blocks, entry: Entry) -> bytes:
        # What cannot be packed any tighter takes up a little more than before.
        if entry.packed > self._max_bytes + self._max_bytes // 100 + 1000:
            raise PhotoRejected("photo_too_large", f"{entry.packed} bytes packed, {self._max_bytes} are allowed")
        if entry.size > max(_LARGEST_RATIO * entry.packed, _ALWAYS_UNPACKED):
            detail = f"{entry.size} bytes are said to be packed into {entry.packed}: a decompression bomb"
            raise PhotoRejected("photo_too_large", detail)
        data = archive.at(entry.offset, LOCAL_HEADER + _NAME_AND_EXTRA + entry.packed)
        if len(data) < LOCAL_HEADER or data[:4] != b"PK\x03\x04":
            raise PhotoRejected("photo_unreadable", "the zip holds nothing where its directory says")
        # APPNOTE 4.3.7: the last two numbers are the lengths of name and extra field.
        start = LOCAL_HEADER + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
        if start > LOCAL_HEADER + _NAME_AND_EXTRA:
            data, start = archive.at(entry.offset + start, entry.packed), 0
        packed = memoryview(data)[start : start + entry.packed]
        if len(packed) < entry.packed:
            raise PhotoRejected("photo_unreadable", "the zip ends before it does")
        data = _inflated(packed, entry)
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise PhotoRejected("photo_unreadable", "size or checksum are others than the zip says")
        return data


def _tarred(archive: Blocks, entry: Entry) -> bytes:
    if entry.method == SPARSE:
        return tars.read_sparse(io.BufferedReader(_File(archive)), entry.offset)
    data = archive.at(entry.offset, entry.size)
    if len(data) < entry.size:
        raise PhotoRejected("photo_unreadable", "the archive ends before it does")
    return data


def _inflated(packed: memoryview, entry: Entry) -> bytes:
    if entry.method == STORED:
        return bytes(packed)
    if entry.method != DEFLATED:
        raise PhotoRejected("photo_unreadable", f"it is packed by method {entry.method}, not by deflate")
    try:
        # One byte more than the directory says is enough to see that it lies.
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise PhotoRejected("photo_unreadable", f"it cannot be unpacked: {error}") from error


def read_local(path: str, max_bytes: int) -> bytes:
    """The bytes of a file of this machine.

    Raises:
        PhotoRejected: it is not there, too large, no regular file, or cannot be read.
        VisageError: nothing can be read.
    """
    try:
        # A named pipe among the photos must not hold up the job until somebody writes to it.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            state = os.fstat(number)
            if not stat.S_ISREG(state.st_mode):
                raise PhotoRejected("not_a_photo", "it is no regular file")
            check_size(state.st_size, max_bytes)
            return os.read(number, state.st_size)
        finally:
            os.close(number)
    except OSError as error:
        if error.errno in _MISSING:
            raise PhotoRejected("photo_missing", str(error.strerror)) from error
        if error.errno in _ONE_FILE_ONLY:
            raise PhotoRejected("photo_unreadable", str(error.strerror)) from error
        raise VisageError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise PhotoRejected("photo_missing", "the path holds a NUL") from error


def read_remote(place: str, max_bytes: int, size: int = UNKNOWN) -> bytes:
    """The bytes of a file in a store; a size that is known saves asking for it.

    Raises:
        PhotoRejected: it is not there, too large, may not be read, or is in a store that is not read.
        VisageError: the store does not answer.
    """
    if why := remote.objection(place):
        raise PhotoRejected("photo_missing", why)
    try:
        if size == UNKNOWN:
            file = remote.info(place)
            if file is None:
                raise FileNotFoundError
            size = file.size
        check_size(size, max_bytes)
        return remote.read(place)
    except FileNotFoundError as error:
        raise PhotoRejected("photo_missing", f"there is no {place}") from error
    except PermissionError as error:
        raise PhotoRejected("photo_unreadable", f"{place} may not be read: {error}") from error
    except OSError as error:
        raise VisageError(
            f"{place} cannot be read: {error.strerror or error}.",
            "See that its store answers, then give the same command again: it goes on from here.",
        ) from error


def check_size(size: int, max_bytes: int) -> None:
    """See that a file has no more bytes than the settings allow.

    Raises:
        PhotoRejected: `photo_too_large`.
    """
    if size > max_bytes:
        raise PhotoRejected("photo_too_large", f"{size} bytes, {max_bytes} are allowed")


class _File(io.RawIOBase):
    """Blocks as a file that is read from where one is."""

    def __init__(self, archive: Blocks) -> None:
        self._archive, self._place = archive, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._archive.at(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, place: int, whence: int = 0) -> int:
        if whence == os.SEEK_END:
            raise io.UnsupportedOperation("only its beginning is known")
        self._place = place + (self._place if whence == os.SEEK_CUR else 0)
        return self._place

    def tell(self) -> int:
        return self._place
