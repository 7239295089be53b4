"""The bytes of listed files, read where they lie."""

import errno
import os
import stat
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from components.photo import PhotoRejected
from components.score import tars
from components.score.entry import UNKNOWN, Entry, Source
from components.score.remote import Store, is_remote
from components.score.zips import DEFLATED, LOCAL_HEADER, STORED
from schemas.error import VisageError

_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_ONE_FILE_ONLY = (errno.EACCES, errno.EPERM, errno.EIO, errno.ENXIO, errno.EISDIR)
_LARGEST_RATIO = 200
_ALWAYS_UNPACKED = 10_000_000


class Reader:
    """Reads entries; keeps the archive open that the last one was in. Fastest in the order of the listing.

    For one thread at a time; to be used in a `with` statement.
    """

    def __init__(self, sources: Sequence[Source], max_bytes: int) -> None:
        self._sources = sources
        self._max_bytes = max_bytes
        self._open: int | None = None
        self._file: BinaryIO
        self._closing = ExitStack()
        self._store = Store()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry, at most as many as the settings allow.

        Raises:
            PhotoRejected: this one cannot be read.
            VisageError: its archive or bucket cannot be read any more, and nothing else in it either.
        """
        if entry.reason:
            raise PhotoRejected(entry.reason, entry.detail)
        self._check_size(entry.size)
        source = self._sources[entry.source]
        if source.kind == "folder":
            path = source.place + "/" + os.fsdecode(entry.name)
            return self._remote(path) if is_remote(path) else self._local(path)
        try:
            file = self._archive(entry.source)
            return self._zipped(file, entry) if source.kind == "zip" else self._tarred(file, entry)
        except tars.DAMAGE as error:
            raise PhotoRejected("photo_unreadable", f"the archive is damaged here: {error}") from error
        except OSError as error:
            raise VisageError(
                f"{source.place} cannot be read any more: {error.strerror or error}.",
                "See that it is there, then give the same command again: it goes on from here.",
            ) from error

    def _local(self, path: str) -> bytes:
        try:
            # A named pipe among the photos must not hold up the job until somebody writes to it.
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(number, "rb", buffering=0) as file:  # noqa: PTH123
                state = os.fstat(number)
                if not stat.S_ISREG(state.st_mode):
                    raise PhotoRejected("not_a_photo", "it is no regular file")
                self._check_size(state.st_size)
                return file.read(state.st_size)
        except OSError as error:
            if error.errno in _MISSING:
                raise PhotoRejected("photo_missing", str(error.strerror)) from error
            if error.errno in _ONE_FILE_ONLY:
                raise PhotoRejected("photo_unreadable", str(error.strerror)) from error
            raise VisageError(f"{path} cannot be read: {error.strerror}.") from error

    def _remote(self, path: str) -> bytes:
        try:
            with self._store.open(path) as file:
                size = file.seek(0, os.SEEK_END)
                self._check_size(size)
                file.seek(0)
                return file.read(size)
        except FileNotFoundError as error:
            raise PhotoRejected("photo_missing", f"there is no {path}") from error
        except OSError as error:
            raise VisageError(
                f"{path} cannot be read: {error.strerror or error}.",
                "See that its store answers, then give the same command again: it goes on from here.",
            ) from error

    def _archive(self, index: int) -> BinaryIO:
        if self._open != index:
            self._closing.close()
            self._open = None
            source = self._sources[index]
            file = self._closing.enter_context(self._opened(source.place))
            self._file = self._closing.enter_context(tars.unpacked(source, file)) if source.packing else file
            self._open = index
        return self._file

    def _opened(self, path: str) -> BinaryIO:
        return self._store.open(path) if is_remote(path) else Path(path).open("rb")

    def _tarred(self, file: BinaryIO, entry: Entry) -> bytes:
        file.seek(entry.offset)
        data = file.read(entry.size)
        if len(data) < entry.size:
            raise PhotoRejected("photo_unreadable", "the archive ends before it does")
        return data

    def _zipped(self, file: BinaryIO, entry: Entry) -> bytes:
        if entry.packed > self._max_bytes:
            raise PhotoRejected("photo_too_large", f"{entry.packed} bytes packed, {self._max_bytes} are allowed")
        if entry.size > max(_LARGEST_RATIO * entry.packed, _ALWAYS_UNPACKED):
            detail = f"{entry.size} bytes are said to be packed into {entry.packed}: a decompression bomb"
            raise PhotoRejected("photo_too_large", detail)
        file.seek(entry.offset)
        # APPNOTE 4.3.7: the last two numbers are the lengths of name and extra field.
        header = file.read(LOCAL_HEADER)
        if len(header) < LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise PhotoRejected("photo_unreadable", "the zip holds nothing where its directory says")
        skipped = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        packed = file.read(skipped + entry.packed)[skipped:]
        if len(packed) < entry.packed:
            raise PhotoRejected("photo_unreadable", "the zip ends before it does")
        data = _inflated(packed, entry)
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise PhotoRejected("photo_unreadable", "size or checksum are others than the zip says")
        return data

    def _check_size(self, size: int) -> None:
        if size != UNKNOWN and size > self._max_bytes:
            raise PhotoRejected("photo_too_large", f"{size} bytes, {self._max_bytes} are allowed")


def _inflated(packed: bytes, entry: Entry) -> bytes:
    if entry.method == STORED:
        return packed
    if entry.method != DEFLATED:
        raise PhotoRejected("photo_unreadable", f"it is packed by method {entry.method}, not by deflate")
    try:
        # One byte more than the directory says is enough to see that it lies.
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise PhotoRejected("photo_unreadable", f"it cannot be unpacked: {error}") from error
