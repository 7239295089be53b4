"""What a folder, an archive or a list holds, file by file."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from components.score import remote, tars, zips
from components.score.entry import Entry, Source, objection
from components.score.zips import DamagedArchive
from schemas.error import VisageError

_PACKINGS = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ": "xz"}
_TAR_MARK = 257
"""Where a tar says `ustar` (POSIX.1-1988)."""


def archive_of(path: str, file: BinaryIO) -> Source | None:
    """The archive that a file is, judged by its first bytes; None if it is none."""
    start = file.read(tarfile.BLOCKSIZE)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Source("zip", path)
    packing: Any = next((packing for mark, packing in _PACKINGS.items() if start.startswith(mark)), "")
    if packing or start[_TAR_MARK : _TAR_MARK + 5] == b"ustar" or path.lower().endswith(".tar"):
        return Source("tar", path, packing)
    return Source("zip", path) if path.lower().endswith(".zip") else None


def of_folder(path: str) -> Iterator[Entry]:
    """All files under a folder in the order of their names; links are followed to files within it, others are rejects."""
    root = os.path.realpath(os.fsencode(path)) + b"/"
    waiting = [b""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(root + inside) as listing:
                found = sorted(listing, key=lambda item: item.name)
        except OSError as error:
            yield Entry(inside.rstrip(b"/"), reason="photo_unreadable", detail=f"folder: {error.strerror}")
            continue
        folders = []
        for item in found:
            name = inside + item.name
            if item.is_dir(follow_symlinks=False):
                folders.append(name + b"/")
            elif item.is_symlink() and not (os.path.realpath(item.path) + b"/").startswith(root):
                yield Entry(name, reason="unsafe_path", detail="a link out of the folder")
            elif item.is_symlink() and item.is_dir():
                yield Entry(name, reason="excluded", detail="a link to a folder that is listed itself")
            else:
                yield _judged(Entry(name))
        waiting += reversed(folders)


def of_remote_folder(path: str) -> Iterator[Entry]:
    """All files whose URL begins with that of a folder.

    Raises:
        VisageError: there is none.
        OSError: the store does not answer.
    """
    prefix = path.rstrip("/") + "/"
    found = remote.names(f"{prefix}**")
    if not found:
        raise VisageError(f"There is nothing under {path}.", "Check its name and that it may be read.", usage=True)
    for name in found:
        if not name.endswith("/"):
            yield _judged(Entry(os.fsencode(name.removeprefix(prefix))))


def of_archive(archive: Source, file: BinaryIO) -> Iterator[Entry]:
    """All files of a zip or tar, in its order; one that is damaged gives a reject in the place of what cannot be read."""
    try:
        yield from _of_zip(file) if archive.kind == "zip" else _of_tar(archive, file)
    except DamagedArchive as error:
        yield Entry(b"", reason="photo_unreadable", detail=f"the archive from here on: {error}")


def _of_zip(file: BinaryIO) -> Iterator[Entry]:
    for held in zips.entries(file):
        if held.is_folder and not held.size:
            continue
        entry = Entry(held.name, held.offset, held.size, held.packed, held.method, held.crc)
        if held.is_link:
            entry = replace(entry, reason="unsafe_path", detail="a link")
        elif held.is_encrypted:
            entry = replace(entry, reason="photo_unreadable", detail="it is encrypted")
        yield _judged(entry)


def _of_tar(archive: Source, file: BinaryIO) -> Iterator[Entry]:
    for member in tars.members(archive, file):
        if member.isdir():
            continue
        entry = Entry(os.fsencode(member.name).removeprefix(b"./"), member.offset_data, member.size)
        if member.issym() or member.islnk():
            entry = replace(entry, reason="unsafe_path", detail="a link")
        elif member.issparse() or not member.isfile():
            entry = replace(entry, reason="not_a_photo", detail="it is no regular file")
        yield _judged(entry)


def of_list(path: str, file: BinaryIO) -> Iterator[bytes]:
    """The absolute paths in a list: lines of text, or the column `path` (or the only one) of a Parquet file.

    Raises:
        VisageError: a Parquet file without such a column, or none.
    """
    for line in _of_parquet(path, file) if path.lower().endswith(".parquet") else file:
        if line.strip():
            yield _joined(path, line.rstrip(b"\r\n"))


def _of_parquet(path: str, file: BinaryIO) -> Iterator[bytes]:
    import pyarrow as pa

    from schemas.arrow_files import parquet as pq

    try:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        column = "path" if "path" in names else names[0]
        if column != "path" and len(names) > 1:
            raise VisageError(f"{path} has no column `path`, but {', '.join(names)}.", usage=True)
        for batch in table.iter_batches(columns=[column]):
            yield from (os.fsencode(value) for value in batch.column(0).to_pylist() if value)
    except pa.ArrowException as error:
        raise VisageError(f"{path} is no Parquet file that can be read: {error}", usage=True) from error


def _joined(listed_in: str, line: bytes) -> bytes:
    """Absolute path of a line; relative ones count from the folder of the list."""
    if b"://" in line:
        return line
    folder = os.fsencode(listed_in.rpartition("/")[0])
    if remote.is_remote(listed_in):
        return folder + b"/" + line
    return os.path.normpath(os.path.join(folder, os.path.expanduser(line)))  # noqa: PTH118, PTH111 (bytes)


def of_file(path: bytes) -> Entry:
    """A file by itself; its folder is the source."""
    return _judged(Entry(path.rpartition(b"/")[2]))


def _judged(entry: Entry) -> Entry:
    found = None if entry.reason else objection(entry.name)
    return replace(entry, reason=found[0], detail=found[1]) if found else entry
