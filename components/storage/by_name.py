"""Files under a root by their names, as a table of labels names them: in a folder, an archive or a store."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from components.photo import PhotoRejected
from components.storage import files, folders, index, kinds, names, remote, tars
from components.storage.entry import DamagedArchive, Entry, Source
from components.storage.index import Index
from components.storage.members import linked
from components.storage.reading import Reader, read_local, read_remote
from schemas.error import VisageError


class Files(Protocol):
    """Files under a root. Any number of threads, and forks of the process, may ask at once.

    A name means the file that is called so; if there is none, the one that is called so with slashes for backslashes, or
    with its accents in the other of Unicode's forms.
    """

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            PhotoRejected: `photo_missing`, `photo_too_large`, `photo_unreadable`, or `not_a_photo` for a folder or pipe.
            VisageError: nothing can be read any more.
        """
        ...

    def version(self, name: str) -> str:
        """What tells, without reading it, whether a file was changed: size and time or checksum. Empty if nothing does."""
        ...


def open_files(root: str, max_bytes: int, names_encoding: str = "", scratch: Path | None = None) -> Files:
    """The files under a root: a folder, a zip or tar that stays packed, a compressed tar, or a folder of a store.

    Args:
        root: where they are.
        max_bytes: a file with more is rejected.
        names_encoding: of names in archives that are not said, and do not seem, to be UTF-8.
        scratch: folder for what has to be kept of an archive, shared by all who name it; else a temporary one.

    Raises:
        VisageError: an archive is damaged, or of a kind that is not read; there is no such store.
    """
    root = names.local(root)
    source = archive_of(root)
    if source:
        return _Archive(source, max_bytes, names_encoding, scratch)
    if names.is_remote(root):
        remote.check(root)
        return _Remote(root, max_bytes)
    return _Folder(root, max_bytes)


def is_called_archive(place: str) -> bool:
    """Whether a place is called like a zip or a tar."""
    return place.lower().endswith((".zip", *kinds.TARS))


def archive_of(place: str) -> Source | None:
    """The archive that a place is; None if it is a folder, a file of another kind, or nothing. Remote ones are called so.

    Raises:
        VisageError: it cannot be read, or is an archive of a kind that is not read.
    """
    if not (is_called_archive(place) if names.is_remote(place) else Path(place).is_file()):
        return None
    try:
        with files.open_file(place) as file:
            source = kinds.archive_of(place, file)
            file.seek(0)
            kind = "" if source else kinds.kind_of(file.read(16))
    except OSError as error:
        raise VisageError(f"{place} cannot be read: {error.strerror or error}.") from error
    if kind:
        raise VisageError(f"{place} is {kind}, which is not opened.", "Unpack it, and name the folder.", usage=True)
    return source


class _Folder:
    def __init__(self, root: str, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def read(self, name: str) -> bytes:
        try:
            return read_local(f"{self._root}/{name}", self._max_bytes)
        except PhotoRejected as rejected:
            path = folders.find(self._root, name) if rejected.reason == "photo_missing" else None
            if path is None:
                raise
        return read_local(path, self._max_bytes)

    def version(self, name: str) -> str:
        try:
            state = os.stat(f"{self._root}/{name}")  # noqa: PTH116 - a Path costs more than the call
        except (OSError, ValueError):
            path = folders.find(self._root, name)
            if path is None:
                return ""
            try:
                state = os.stat(path)  # noqa: PTH116
            except OSError:
                return ""
        return f"{state.st_size}-{state.st_mtime_ns}"


class _Remote:
    def __init__(self, root: str, max_bytes: int) -> None:
        self._root = root.rstrip("/")
        self._max_bytes = max_bytes
        self._last = threading.local()

    def read(self, name: str) -> bytes:
        match = self._find(name)
        if match is None:
            raise PhotoRejected("photo_missing", f"there is no {self._root}/{name}")
        url, file = match
        return read_remote(url, self._max_bytes, file.size)

    def version(self, name: str) -> str:
        try:
            match = self._find(name)
        except PhotoRejected:  # it may not be read, as whoever reads it will hear
            return ""
        return f"{match[1].size}-{match[1].version}" if match else ""

    def _find(self, name: str) -> tuple[str, remote.StoredFile] | None:
        """The file of this name; asked for once where its version is asked for first and then its bytes."""
        if getattr(self._last, "name", None) != name:
            self._last.name, self._last.match = name, self._look_up(name)
        return self._last.match

    def _look_up(self, name: str) -> tuple[str, remote.StoredFile] | None:
        for spelling in names.spellings(name):
            url = names.joined(self._root, spelling)
            try:
                file = remote.info(url)
            except PermissionError as error:
                raise PhotoRejected("photo_unreadable", f"{url} may not be read: {error}") from error
            except OSError as error:
                hint = "See that its store answers, and try again."
                raise VisageError(f"{url} cannot be read: {error.strerror or error}.", hint) from error
            if file:
                return url, file
        return None


class _Archive:
    """A zip or tar whose files are read where they lie. A compressed tar is unpacked once, for its files come in any order."""

    def __init__(self, source: Source, max_bytes: int, encoding: str, scratch: Path | None) -> None:
        if scratch is None:
            scratch = Path(tempfile.mkdtemp(prefix="visage-"))
            weakref.finalize(self, _remove, scratch, os.getpid())
        digest = hashlib.sha256(f"{source.place}\0{encoding}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
        with explaining_damage(source.place):
            if source.packing:
                unpacked = scratch / f"{digest}.tar"
                _make_once(unpacked, partial(_unpack, source))
                source = Source("tar", str(unpacked))
            _make_once(scratch / f"{digest}.index", partial(_write_index, source, encoding))
        self._index = Index(scratch / f"{digest}.index")
        self._reader = Reader([source], max_bytes)
        self._last = threading.local()

    def read(self, name: str) -> bytes:
        entry = self._find(name)
        if entry is None:
            raise PhotoRejected("photo_missing", "the archive holds no such file")
        return self._reader.read(entry)

    def version(self, name: str) -> str:
        entry = self._find(name)
        return entry.version if entry and not entry.reason else ""

    def _find(self, name: str) -> Entry | None:
        """The file of this name; looked for once where its version is asked for first and then its bytes."""
        if getattr(self._last, "name", None) != name:
            self._last.name, self._last.entry = name, self._index.find(name)
        return self._last.entry


@contextmanager
def explaining_damage(place: str) -> Iterator[None]:
    """Around work with an archive: damage is one message.

    Raises:
        VisageError: it is damaged, or cannot be read.
    """
    try:
        yield
    except DamagedArchive as error:
        hint = "It must be whole: fetch it anew, or unpack what can be unpacked, and name the folder."
        raise VisageError(f"{place} cannot be read to its end: {error}.", hint) from error
    except OSError as error:
        raise VisageError(f"{error.filename or place} cannot be read or written: {error.strerror or error}.") from error


def _write_index(source: Source, encoding: str, file: Path) -> None:
    with Reader([source], 4096) as links, files.open_file(source.place) as archive:
        index.build(file, linked(source, archive, lambda entry: links.read(entry.in_source(0)), encoding))


def _unpack(source: Source, file: Path) -> None:
    """Unpack a compressed tar.

    Raises:
        DamagedArchive: it is cut short, damaged, or a bomb.
        OSError: it cannot be read, or the disk is full.
    """
    with files.open_file(source.place) as packed, file.open("xb") as written:
        most = tars.most_unpacked(packed.seek(0, os.SEEK_END))
        packed.seek(0)
        try:
            with tars.unpacked(source, packed) as stream:
                while data := stream.read(4 << 20):
                    written.write(data)
                    if written.tell() > most:
                        raise DamagedArchive(tars.BOMB)
        except tars.DAMAGE as error:
            raise DamagedArchive(f"it is damaged or cut short: {error}") from error


def _make_once(file: Path, make: Callable[[Path], None]) -> None:
    """Make a file, if nobody has made it yet; whoever else wants it meanwhile waits."""
    if file.exists():
        return
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            partial_file = file.with_suffix(".partial")
            partial_file.unlink(missing_ok=True)
            make(partial_file)
            partial_file.rename(file)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
