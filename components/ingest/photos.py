"""Where photos come from: a folder, a zip or tar that stays packed, or a folder that Beam's FileSystems read."""

import errno
import os
import posixpath
import stat
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from components.beam_job import filesystems
from components.ingest.sources import place
from components.photo import PhotoRejected
from schemas.error import VisageError


class Photos(Protocol):
    """Photos under a root. Any number of threads may ask at once."""

    def read(self, path: str) -> bytes:
        """The bytes of a photo.

        Raises:
            PhotoRejected: `photo_missing`, `photo_too_large`, `photo_unreadable`, or `not_a_photo` for a folder or pipe.
        """
        ...

    def version(self, path: str) -> str:
        """What tells, without reading it, whether a photo was changed: size and time or checksum. Empty if nothing does."""
        ...


def open_photos(root: str, max_bytes: int) -> Photos:
    """The photos under a root: a folder, a zip or tar that stays packed, or a folder that Beam's FileSystems read.

    Raises:
        VisageError: an archive is damaged, or is a compressed tar; there is no filesystem for such a root.
    """
    if place.is_remote(root):
        _check_filesystem(root)
    if place.is_archive(root):
        return _Archive(root, max_bytes)
    return _Remote(root, max_bytes) if place.is_remote(root) else _Folder(root, max_bytes)


def _check_filesystem(root: str) -> None:
    try:
        filesystems().get_filesystem(root)
    except ValueError as error:
        raise VisageError(f"Beam has no filesystem for {root}.", "Install the extra [cloud].") from error


_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_OUT_OF_REACH = (errno.EACCES, errno.EPERM, errno.EIO, errno.ENXIO)


class _Folder:
    def __init__(self, root: str, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def read(self, path: str) -> bytes:
        try:
            # A named pipe among the photos must not hold up the job until somebody writes to it.
            file = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                state = os.fstat(file)
                if not stat.S_ISREG(state.st_mode):
                    raise PhotoRejected("not_a_photo", "it is no regular file")
                _check_size(state.st_size, self._max_bytes)
                return os.read(file, state.st_size)
            finally:
                os.close(file)
        except OSError as error:
            if error.errno in _MISSING:
                raise PhotoRejected("photo_missing", str(error.strerror)) from error
            if error.errno in _OUT_OF_REACH:
                raise PhotoRejected("photo_unreadable", str(error.strerror)) from error
            raise

    def version(self, path: str) -> str:
        try:
            state = os.stat(f"{self._root}/{path}")  # noqa: PTH116 - a Path costs more than the call
        except OSError:
            return ""
        return f"{state.st_size}-{state.st_mtime_ns}"


class _Remote:
    def __init__(self, root: str, max_bytes: int) -> None:
        self._root = root.rstrip("/")
        self._max_bytes = max_bytes

    def read(self, path: str) -> bytes:
        from apache_beam.io.filesystem import BeamIOError

        name = f"{self._root}/{path}"
        try:
            with filesystems().open(name, compression_type="uncompressed") as file:
                data = file.read(self._max_bytes + 1)
        except (BeamIOError, OSError) as error:
            if not filesystems().exists(name):
                raise PhotoRejected("photo_missing", f"there is no {name}") from error
            raise VisageError(
                f"{name} cannot be read: {error}", "See whether it can be reached, and try again."
            ) from error
        _check_size(len(data), self._max_bytes)
        return data

    def version(self, path: str) -> str:
        return ""


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise PhotoRejected("photo_too_large", f"{size} bytes, {max_bytes} are allowed")


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of an archive; for a tar `offset` is that of its bytes, for a zip that of the header before them."""

    offset: int
    size: int
    packed: int = 0
    method: int = zipfile.ZIP_STORED
    crc: int | None = None
    encrypted: bool = False
    version: str = ""


class _Archive:
    """A zip or tar whose files are read where they lie, by many threads at once.

    The standard library's readers share one position in the file; here every read says where it begins.
    """

    def __init__(self, path: str, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._is_zip = path.lower().endswith(".zip")
        file = _open(path)
        try:
            self._members = _zip_members(file) if self._is_zip else _tar_members(file)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError) as error:
            hint = "It must be whole, and a tar must not be compressed: unpack it, and name the tar or the folder."
            raise VisageError(f"{path} cannot be read: {error}.", hint) from error
        self._read_at = _reader_at(file, path)

    def version(self, path: str) -> str:
        member = self._members.get(posixpath.normpath(path))
        return member.version if member else ""

    def read(self, path: str) -> bytes:
        member = self._members.get(posixpath.normpath(path))
        if member is None:
            raise PhotoRejected("photo_missing", "the archive holds no such file")
        _check_size(member.size, self._max_bytes)
        if not self._is_zip:
            return self._read_whole(member.offset, member.size)
        if member.encrypted:
            raise PhotoRejected("photo_unreadable", "it is encrypted")
        # PKWARE's APPNOTE 4.3.7: thirty bytes, the last four of them the lengths of the name and the extra field.
        header = self._read_whole(member.offset, 30)
        start = member.offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        data = _unpack(self._read_whole(start, member.packed), member)
        if len(data) != member.size or zlib.crc32(data) != member.crc:
            raise PhotoRejected("photo_unreadable", "its checksum in the archive is another one")
        return data

    def _read_whole(self, offset: int, size: int) -> bytes:
        data = self._read_at(offset, size)
        if len(data) < size:
            raise PhotoRejected("photo_unreadable", "the archive ends before it")
        return data


def _unpack(data: bytes, member: _Member) -> bytes:
    if member.method == zipfile.ZIP_STORED:
        return data
    if member.method != zipfile.ZIP_DEFLATED:
        raise PhotoRejected("photo_unreadable", f"it is packed by method {member.method}, not by deflate")
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
    except zlib.error as error:
        raise PhotoRejected("photo_unreadable", f"it cannot be unpacked: {error}") from error


def _zip_members(file: BinaryIO) -> Mapping[str, _Member]:
    with zipfile.ZipFile(file) as archive:
        return {
            posixpath.normpath(entry.filename): _Member(
                entry.header_offset,
                entry.file_size,
                entry.compress_size,
                entry.compress_type,
                entry.CRC,
                bool(entry.flag_bits & 1),
                f"{entry.file_size}-{entry.CRC:08x}",
            )
            for entry in archive.infolist()
            if not entry.is_dir()
        }


_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def _tar_members(file: BinaryIO) -> Mapping[str, _Member]:
    begins = file.read(6)
    packer = next((name for magic, name in _COMPRESSED.items() if begins.startswith(magic)), "")
    if packer:
        raise tarfile.CompressionError(f"it is compressed, by {packer}, and single photos cannot be found in it")
    if file.seek(0, os.SEEK_END) % tarfile.BLOCKSIZE:
        raise EOFError("it is cut short")
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        return {
            posixpath.normpath(entry.name): _Member(
                entry.offset_data, entry.size, version=f"{entry.size}-{entry.mtime}"
            )
            for entry in archive
            if entry.isfile()
        }


def _open(path: str) -> Any:
    if place.is_remote(path):
        return filesystems().open(path, compression_type="uncompressed")
    return Path(path).open("rb")


def _reader_at(file: Any, path: str) -> Callable[[int, int], bytes]:
    if not place.is_remote(path):
        return lambda offset, size: os.pread(file.fileno(), size, offset)
    lock = threading.Lock()

    def read(offset: int, size: int) -> bytes:
        with lock:
            file.seek(offset)
            return file.read(size)

    return read
