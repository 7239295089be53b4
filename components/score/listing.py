"""From what a person names to the files to be scored: folders, patterns, archives, lists, single photos.

Files come one by one and in the same order every time, and a file that was named twice comes once.
"""

import contextlib
import glob
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from components.score import tars, zips
from components.score.entry import Entry, Source, objection
from components.score.zips import DamagedArchive
from schemas.error import VisageError

_LISTS = (".txt", ".lst", ".list", ".parquet")
_PACKINGS = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ": "xz"}
_TAR_MARK = 257
"""Where a tar says `ustar` (POSIX.1-1988)."""


def is_remote(path: str) -> bool:
    """Whether a path is one that Beam's FileSystems read, as `s3://bucket/faces`."""
    return "://" in path


def open_file(path: str) -> BinaryIO:
    """A file, local or remote, for reading at any place.

    Raises:
        OSError: it is not there or cannot be read; Beam's errors for remote files are such too.
    """
    if is_remote(path):
        from apache_beam.io.filesystems import FileSystems

        return FileSystems.open(path, compression_type="uncompressed")
    return Path(path).open("rb")


class Listing:
    """The files that some inputs mean.

    Attributes:
        sources: the folders and archives met so far; an entry's `source` is an index into it.
    """

    def __init__(self, inputs: Sequence[str]) -> None:
        """Take the inputs apart; nothing is listed yet.

        Raises:
            VisageError: none was given, one does not exist, or a pattern fits nothing.
        """
        if not inputs:
            raise VisageError(
                "No photos to score are named.", "Name a folder, a pattern, an archive or a list.", usage=True
            )
        self.sources: list[Source] = []
        self._indices: dict[Source, int] = {}
        self._seen: set[int] = set()
        named = list(dict.fromkeys(path for text in inputs for path in _expanded(text)))
        self._folders = {path.rstrip("/") for path in named if _is_folder(path)}
        self._named = [path for path in named if path.rstrip("/") not in self._folders or not self._is_inside(path)]

    def __iter__(self) -> Iterator[Entry]:
        """All files, one after another.

        Raises:
            VisageError: an input cannot be read at all.
        """
        for path in self._named:
            with _readable(path):
                yield from self._entries(path)

    def _entries(self, path: str) -> Iterator[Entry]:
        if _is_folder(path):
            source = self._index(Source("folder", path.rstrip("/")))
            yield from _remote_folder(source, path) if is_remote(path) else _folder(source, path)
        elif path.lower().endswith(_LISTS):
            for line in _lines(path):
                yield from self._single(_joined(path, line))
        else:
            archive = _archive(path)
            if archive is None:
                yield from self._single(os.fsencode(path))
            else:
                yield from (
                    _zip(self._index(archive), path) if archive.kind == "zip" else _tar(self._index(archive), archive)
                )

    def _index(self, source: Source) -> int:
        if source not in self._indices:
            self._indices[source] = len(self.sources)
            self.sources.append(source)
        return self._indices[source]

    def _single(self, path: bytes) -> Iterator[Entry]:
        digest = hash(path)
        if digest in self._seen or self._is_inside(os.fsdecode(path)):
            return
        self._seen.add(digest)
        folder, _, name = path.rpartition(b"/")
        entry = Entry(self._index(Source("folder", os.fsdecode(folder))), name)
        yield _judged(entry)

    def _is_inside(self, path: str) -> bool:
        """Whether a path lies in one of the folders that are listed."""
        while "/" in path:
            path = path.rstrip("/").rpartition("/")[0]
            if path in self._folders:
                return True
        return False


def _expanded(text: str) -> list[str]:
    """Absolute paths that an input stands for; more than one for a pattern."""
    if is_remote(text):
        return _expanded_remote(text)
    path = os.path.abspath(Path(text).expanduser())  # noqa: PTH100 (resolve() would follow links)
    if os.path.lexists(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True)) if glob.has_magic(text) else []  # noqa: PTH207
    if not found:
        what = "fits no file" if glob.has_magic(text) else "is not there"
        raise VisageError(f"{text} {what}.", "Name photos that exist.", usage=True)
    return found


def _expanded_remote(text: str) -> list[str]:
    if not re.search(r"[*?\[]", text):
        return [text]
    with _readable(text):
        from apache_beam.io.filesystems import FileSystems

        found = sorted(held.path for held in FileSystems.match([text])[0].metadata_list)
    if not found:
        raise VisageError(f"{text} fits no file.", "Name photos that exist.", usage=True)
    return found


def _is_folder(path: str) -> bool:
    if not is_remote(path):
        return Path(path).is_dir()
    # Buckets have no folders: what looks like no file is one.
    return not re.search(r"\.\w{1,8}$", path.rpartition("/")[2])


def _archive(path: str) -> Source | None:
    """The archive that a file is, judged by its first bytes; None if it is none."""
    with open_file(path) as file:
        start = file.read(tarfile.BLOCKSIZE)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Source("zip", path)
    packing: Any = next((packing for mark, packing in _PACKINGS.items() if start.startswith(mark)), "")
    is_tar = start[_TAR_MARK : _TAR_MARK + 5] == b"ustar" or path.lower().endswith(".tar")
    if packing or is_tar:
        return Source("tar", path, packing)
    return Source("zip", path) if path.lower().endswith(".zip") else None


def _folder(source: int, path: str) -> Iterator[Entry]:
    """All files under a folder; links within it are followed to files, others are rejects."""
    root = os.path.realpath(os.fsencode(path)) + b"/"
    waiting = [b""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(root + inside) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Entry(source, inside.rstrip(b"/"), reason="photo_unreadable", detail=f"folder: {error.strerror}")
            continue
        folders = []
        for item in found:
            name = inside + item.name
            if item.is_dir(follow_symlinks=False):
                folders.append(name + b"/")
            elif item.is_symlink() and not (os.path.realpath(item.path) + b"/").startswith(root):
                yield Entry(source, name, reason="unsafe_path", detail="a link out of the folder")
            elif item.is_symlink() and item.is_dir():
                yield Entry(source, name, reason="excluded", detail="a link to a folder that is listed itself")
            else:
                yield _judged(Entry(source, name))
        waiting += reversed(folders)


def _remote_folder(source: int, path: str) -> Iterator[Entry]:
    from apache_beam.io.filesystems import FileSystems

    prefix = path.rstrip("/") + "/"
    found = sorted(held.path for held in FileSystems.match([f"{prefix}**"])[0].metadata_list)
    if not found:
        raise VisageError(f"There is nothing under {path}.", "Check its name and that it may be read.", usage=True)
    for name in found:
        if not name.endswith("/"):
            yield _judged(Entry(source, os.fsencode(name.removeprefix(prefix))))


def _zip(source: int, path: str) -> Iterator[Entry]:
    with open_file(path) as file:
        try:
            for held in zips.entries(file):
                if held.is_folder and not held.size:
                    continue
                entry = Entry(source, held.name, held.offset, held.size, held.packed, held.method, held.crc)
                if held.is_link:
                    entry = replace(entry, reason="unsafe_path", detail="a link")
                elif held.is_encrypted:
                    entry = replace(entry, reason="photo_unreadable", detail="it is encrypted")
                yield _judged(entry)
        except DamagedArchive as error:
            yield Entry(source, b"", reason="photo_unreadable", detail=f"the archive cannot be used: {error}")


def _tar(source: int, archive: Source) -> Iterator[Entry]:
    with open_file(archive.place) as file:
        try:
            for member in tars.members(archive, file):
                if member.isdir():
                    continue
                name = os.fsencode(member.name).removeprefix(b"./")
                entry = Entry(source, name, member.offset_data, member.size)
                if member.issym() or member.islnk():
                    entry = replace(entry, reason="unsafe_path", detail="a link")
                elif member.issparse() or not member.isfile():
                    entry = replace(entry, reason="not_a_photo", detail="it is no regular file")
                yield _judged(entry)
        except DamagedArchive as error:
            yield Entry(source, b"", reason="photo_unreadable", detail=f"the archive's rest: {error}")


def _lines(path: str) -> Iterator[bytes]:
    """The paths in a list: lines of text, or the column `path` (or the only one) of a Parquet file."""
    with open_file(path) as file:
        if not path.lower().endswith(".parquet"):
            for line in file:
                if line.strip():
                    yield line.rstrip(b"\r\n")
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.ParquetFile(file)
            names = table.schema_arrow.names
            column = "path" if "path" in names else names[0]
            if column != "path" and len(names) > 1:
                raise VisageError(f"{path} has no column `path`, but {', '.join(names)}.", usage=True)
            for batch in table.iter_batches(columns=[column]):
                for value in batch.column(0).to_pylist():
                    if value:
                        yield os.fsencode(value)
        except pa.ArrowException as error:
            raise VisageError(f"{path} is no Parquet file that can be read: {error}", usage=True) from error


def _joined(listed_in: str, line: bytes) -> bytes:
    """Absolute path of a line; relative ones count from the folder of the list."""
    if b"://" in line:
        return line
    folder = os.fsencode(listed_in.rpartition("/")[0])
    if is_remote(listed_in):
        return folder + b"/" + line
    return os.path.normpath(os.path.join(folder, os.path.expanduser(line)))  # noqa: PTH118, PTH111 (bytes)


def _judged(entry: Entry) -> Entry:
    found = None if entry.reason else objection(entry.name)
    return replace(entry, reason=found[0], detail=found[1]) if found else entry


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VisageError(
            f"{path} cannot be read: {error.strerror or error}.", "Check that it is there and may be read.", usage=True
        ) from error
