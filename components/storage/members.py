"""What a zip or tar holds, file by file, with its links as they are written."""

import os
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from components.photo import PhotoRejected
from components.storage import tars, zips
from components.storage.entry import SPARSE, Entry, Source

_LONGEST_LINK = 4096
_LARGEST = (1 << 63) - 1


class Link(NamedTuple):
    """What an entry of an archive leads to.

    Attributes:
        target: a name within the archive, or one that leads out of it.
        is_hard: whether it is another name of a file that came before, not one that is looked for when it is asked for.
    """

    target: str
    is_hard: bool = False


def linked(
    source: Source, file: BinaryIO, read: Callable[[Entry], bytes], encoding: str
) -> Iterator[tuple[Entry, Link | None]]:
    """All files of an archive in its order; of a link, what it leads to: a name within the archive, or one that leads out.

    Raises:
        DamagedArchive: at the place from which on it cannot be read.
    """
    return _of_zip(file, read, encoding) if source.kind == "zip" else _of_tar(source, file, encoding)


def _of_zip(file: BinaryIO, read: Callable[[Entry], bytes], encoding: str) -> Iterator[tuple[Entry, Link | None]]:
    for zipped in zips.entries(file, encoding):
        if zipped.is_folder and not zipped.size:
            continue
        if max(zipped.offset, zipped.size, zipped.packed) > _LARGEST:
            yield (
                Entry(zipped.name, reason="photo_unreadable", detail="the zip gives it a place that no file has"),
                None,
            )
            continue
        version = f"{zipped.size}-{zipped.crc:08x}"
        entry = Entry(
            zipped.name, zipped.offset, zipped.size, zipped.packed, zipped.method, zipped.crc, version=version
        )
        if zipped.encrypted:
            entry = replace(entry, reason="photo_unreadable", detail=f"it is encrypted by {zipped.encrypted}")
        elif zipped.is_link:
            yield _zipped_link(entry, read)
            continue
        elif zipped.method in zips.METHODS:
            detail = (
                f"it is compressed by {zips.METHODS[zipped.method]} (method {zipped.method}), and only deflate is read"
            )
            entry = replace(entry, reason="photo_unreadable", detail=detail)
        yield entry, None


def _zipped_link(entry: Entry, read: Callable[[Entry], bytes]) -> tuple[Entry, Link | None]:
    if entry.size > _LONGEST_LINK:
        return replace(entry, reason="unsafe_path", detail="a link of more letters than a path can have"), None
    try:
        target = os.fsdecode(read(entry))
    except PhotoRejected as rejected:
        return replace(entry, reason=rejected.reason, detail=rejected.detail), None
    return entry, Link(_target(os.fsdecode(entry.name), target))


def _of_tar(source: Source, file: BinaryIO, encoding: str) -> Iterator[tuple[Entry, Link | None]]:
    for member in tars.members(source, file):
        info = member.info
        if info.isdir():
            continue
        name = _decoded(info.name, encoding)
        entry = Entry(os.fsencode(name), info.offset_data, info.size, version=f"{info.size}-{info.mtime}")
        if info.issym():
            yield entry, Link(_target(name, _decoded(info.linkname, encoding)))
        elif info.islnk():
            yield entry, Link(_decoded(info.linkname, encoding), is_hard=True)
        elif not info.isfile():
            yield replace(entry, reason="not_a_photo", detail="it is no regular file"), None
        elif not member.fits:
            detail = "the pieces of this file with holes are more than its header says"
            yield replace(entry, reason="photo_unreadable", detail=detail), None
        else:
            yield (replace(entry, offset=info.offset, method=SPARSE) if member.holes else entry), None


def _decoded(name: str, encoding: str) -> str:
    """A name in a tar, where the bytes that are not UTF-8 are surrogates."""
    if encoding and not name.isascii():
        raw = name.encode("utf-8", "surrogateescape")
        try:
            raw.decode()
        except UnicodeDecodeError:
            name = raw.decode(encoding, "surrogateescape")
    return name.replace("\\", "/").removeprefix("./")


def _target(name: str, target: str) -> str:
    """What a symbolic link leads to, seen from the root of the archive."""
    return target if target.startswith("/") else posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
