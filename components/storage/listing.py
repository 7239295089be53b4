"""From what a person names to the files that are meant: folders, patterns, archives, lists, single photos.

Files come one by one and in the same order every time, and a file that was named twice comes once.
"""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from components.photo.formats import is_picture_name
from components.storage import contents, files, folders, kinds, lists, names, remote
from components.storage.entry import DamagedArchive, Entry, Source
from components.storage.names import is_remote
from components.storage.reading import Reader
from schemas.error import VisageError

_LONGEST_LINK = 4096


class Listing:
    """The files that some inputs mean.

    Attributes:
        sources: the folders and archives met so far; an entry's `source` is an index into it.
    """

    def __init__(self, inputs: Sequence[str], names_encoding: str = "") -> None:
        """Take the inputs apart; nothing is listed yet.

        Args:
            inputs: paths, patterns and URLs.
            names_encoding: of names in archives that are not said, and do not seem, to be UTF-8.

        Raises:
            VisageError: none was given, one does not exist, or a pattern fits nothing.
        """
        if not inputs:
            raise VisageError(
                "No photos to score are named.", "Name a folder, a pattern, an archive or a list.", usage=True
            )
        self.sources: list[Source] = []
        self._encoding = names_encoding
        self._indices: dict[Source, int] = {}
        self._seen: set[int] = set()
        expanded = [_expanded(text) for text in inputs]
        named = dict.fromkeys(path for paths in expanded for path in paths)
        self._by_themselves = {paths[0] for paths in expanded if len(paths) == 1}
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
        if path.rstrip("/") in self._folders:
            entries = contents.of_remote_folder(path) if is_remote(path) else contents.of_folder(path)
            yield from self._in(Source("folder", path.rstrip("/") or "/"), entries)
        elif is_picture_name(path) or not (is_remote(path) or Path(path).is_file()):
            yield from self._single(path)
        else:
            with files.open_file(path) as file:
                yield from self._file(path, file)

    def _file(self, path: str, file: BinaryIO) -> Iterator[Entry]:
        if lists.is_list(path):
            try:
                for line in lists.paths(path, file):
                    yield from self._single(line)
            except VisageError as error:
                if path in self._by_themselves:
                    raise
                # A table beside photos that happened to fit a pattern is no reason to score none of them.
                yield from self._single(path, f"no list: it {error.message.removeprefix(f'{path} ')}")
            return
        archive = kinds.archive_of(path, file)
        if archive:
            yield from self._in(archive, self._archive(archive))
            return
        file.seek(0)
        kind = kinds.kind_of(file.read(16))
        yield from self._single(path, f"{kind}, which is not opened: unpack it first" if kind else "")

    def _archive(self, archive: Source) -> Iterator[Entry]:
        """The files of an archive; a reject in the place of what cannot be read of it."""
        with Reader([archive], _LONGEST_LINK) as links:
            read = partial(_read_link, links)
            try:
                yield from contents.of_archive(archive, partial(files.open_file, archive.place), read, self._encoding)
            except DamagedArchive as error:
                yield Entry(b"", reason="photo_unreadable", detail=f"the archive from here on: {error}")

    def _in(self, source: Source, entries: Iterable[Entry]) -> Iterator[Entry]:
        if source not in self._indices:
            self._indices[source] = len(self.sources)
            self.sources.append(source)
        index = self._indices[source]
        return (entry.in_source(index) for entry in entries)

    def _single(self, path: str, no_photo: str = "") -> Iterator[Entry]:
        """A file by itself; a reject if it is known what else it is."""
        digest = hash(path)
        if digest in self._seen or self._is_inside(path):
            return
        self._seen.add(digest)
        entry = contents.of_file(os.fsencode(path))
        if no_photo:
            entry = replace(entry, reason="not_a_photo", detail=names.shown(no_photo))
        elif names.is_url(path) and (why := remote.objection(path)):
            entry = replace(entry, reason="photo_missing", detail=why)
        yield from self._in(Source("folder", names.parent(path)), [entry])

    def _is_inside(self, path: str) -> bool:
        """Whether a path lies in one of the folders that are listed."""
        while "/" in path:
            path = path.rstrip("/").rpartition("/")[0]
            if path in self._folders:
                return True
        return False


def _read_link(links: Reader, entry: Entry) -> bytes:
    return links.read(entry.in_source(0))


def _expanded(text: str) -> list[str]:
    """Absolute paths that an input stands for; more than one for a pattern."""
    has_magic = glob.has_magic(text)
    try:
        place = names.local(text)
    except ValueError as error:
        raise VisageError(f"{error}.", usage=True) from error
    if is_remote(place):
        remote.check(place)
        with _readable(place):
            paths = list(remote.fitting(place)) if has_magic else [place]
    else:
        path = os.path.abspath(place)  # noqa: PTH100 (resolve() would follow links)
        if os.path.lexists(path):
            return [path]
        paths = sorted(glob.glob(path, recursive=True)) if has_magic else []  # noqa: PTH207
        if not paths and not has_magic and (spelled := folders.find("", path)):
            paths = [spelled]
    if not paths:
        raise VisageError(
            f"{text} {'fits no file' if has_magic else 'is not there'}.", "Name photos that exist.", usage=True
        )
    return paths


def _is_folder(path: str) -> bool:
    if not is_remote(path):
        return Path(path).is_dir()
    with _readable(path):
        return path.endswith("/") or (
            not is_picture_name(path) and remote.info(path) is None and remote.is_folder(path)
        )


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VisageError(
            f"{path} cannot be read: {error.strerror or error}.", "Check that it is there and may be read.", usage=True
        ) from error
