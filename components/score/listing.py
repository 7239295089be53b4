"""From what a person names to the files to be scored: folders, patterns, archives, lists, single photos.

Files come one by one and in the same order every time, and a file that was named twice comes once.
"""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from components.photo.formats import is_picture_name
from components.score import contents, remote
from components.score.entry import Entry, Source
from components.score.remote import Store, is_remote
from schemas.error import VisageError

_LISTS = (".txt", ".lst", ".list", ".parquet")


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
        self._store = Store()
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
            found = contents.of_remote_folder(path) if is_remote(path) else contents.of_folder(path)
            yield from self._in(Source("folder", path.rstrip("/")), found)
        elif is_picture_name(path) or not (is_remote(path) or Path(path).is_file()):
            yield from self._single(os.fsencode(path))
        else:
            with self._open(path) as file:
                yield from self._file(path, file)

    def _file(self, path: str, file: BinaryIO) -> Iterator[Entry]:
        if path.lower().endswith(_LISTS):
            for line in contents.of_list(path, file):
                yield from self._single(line)
            return
        archive = contents.archive_of(path, file)
        if archive:
            yield from self._in(archive, contents.of_archive(archive, file))
        else:
            yield from self._single(os.fsencode(path))

    def _in(self, source: Source, found: Iterable[Entry]) -> Iterator[Entry]:
        if source not in self._indices:
            self._indices[source] = len(self.sources)
            self.sources.append(source)
        index = self._indices[source]
        return (replace(entry, source=index) for entry in found)

    def _single(self, path: bytes) -> Iterator[Entry]:
        text, digest = os.fsdecode(path), hash(path)
        if digest in self._seen or self._is_inside(text):
            return
        self._seen.add(digest)
        yield from self._in(Source("folder", text.rpartition("/")[0]), [contents.of_file(path)])

    def _is_inside(self, path: str) -> bool:
        """Whether a path lies in one of the folders that are listed."""
        while "/" in path:
            path = path.rstrip("/").rpartition("/")[0]
            if path in self._folders:
                return True
        return False

    def _open(self, path: str) -> BinaryIO:
        return self._store.open(path) if is_remote(path) else Path(path).open("rb")


def _expanded(text: str) -> list[str]:
    """Absolute paths that an input stands for; more than one for a pattern."""
    has_magic = glob.has_magic(text)
    if is_remote(text):
        with _readable(text):
            found = remote.names(text) if has_magic else [text]
    else:
        path = os.path.abspath(Path(text).expanduser())  # noqa: PTH100 (resolve() would follow links)
        if os.path.lexists(path):
            return [path]
        found = sorted(glob.glob(path, recursive=True)) if has_magic else []  # noqa: PTH207
    if not found:
        raise VisageError(
            f"{text} {'fits no file' if has_magic else 'is not there'}.", "Name photos that exist.", usage=True
        )
    return found


def _is_folder(path: str) -> bool:
    if not is_remote(path):
        return Path(path).is_dir()
    # Buckets have no folders: what looks like no file is one.
    return not re.search(r"\.\w{1,8}$", path.rpartition("/")[2])


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VisageError(
            f"{path} cannot be read: {error.strerror or error}.", "Check that it is there and may be read.", usage=True
        ) from error
