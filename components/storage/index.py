"""The files of an archive by their names, on disk: a million of them take no more memory than a thousand."""

import os
import posixpath
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import fields, replace
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from components.storage import names
from components.storage.entry import DamagedArchive, Entry, Source
from components.storage.members import Link, linked

_SORTED_IN_MEMORY = 10_000
_MOST_LINKS = 40
"""As many as Linux follows before it says that a path goes round."""

_COLUMNS = [field.name for field in fields(Entry) if field.name != "name"]
_values = attrgetter(*_COLUMNS)
_SELECT = f"SELECT number, link, hard, CAST(name AS BLOB), {', '.join(_COLUMNS)} FROM files"


class Index:
    """The files of an archive by name. Any number of threads and forks of the process may ask at once.

    A name that stands twice means the last file of that name, as it does for whoever unpacks the archive.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._local = threading.local()
        self._has_links = bool(self._fetch_one("SELECT 1 FROM files WHERE link IS NOT NULL LIMIT 1"))

    @classmethod
    def of(
        cls, source: Source, opened: Callable[[], BinaryIO], read: Callable[[Entry], bytes], encoding: str
    ) -> "Index":
        """The index of an archive, or of what can be read of it, in a temporary file; arguments as in `contents.of_archive`."""
        folder = tempfile.mkdtemp(prefix="visage-")
        try:
            build(Path(folder, "index"), linked_while_whole(source, opened, read, encoding))
            index = cls(Path(folder, "index"))
        except BaseException:
            shutil.rmtree(folder)
            raise
        weakref.finalize(index, _remove, folder, os.getpid())
        return index

    def find(self, name: str) -> Entry | None:
        """The file that a name means, however it is spelled, behind links too; None if the archive holds no such file."""
        match = self._match(name) or self._match(_normal(name)) or self._match_by_key(names.key(name))
        if match is None:
            return self._through_links(_normal(name), 0) if self._has_links else None
        entry, link, number = match
        return self._behind(entry, link, number, 0) if link else entry

    def behind(self, entry: Entry, link: Link, number: int) -> Entry:
        """What a link of the archive leads to, under the link's own name; a reject if that is nothing.

        Args:
            entry: of the link.
            link: what it says.
            number: of the entry in the archive.
        """
        return self._behind(entry, link, number, 0)

    def _behind(self, entry: Entry, link: Link, number: int, followed: int) -> Entry:
        if why := names.way_out(link.target):
            return replace(entry, reason="unsafe_path", detail=f"a link out of the archive: {why}")
        if followed >= _MOST_LINKS:
            return replace(entry, reason="photo_missing", detail="a link that goes round")
        target = _normal(link.target)
        match = self._match(target, number) if link.is_hard else self._match(target)
        if match is None:
            target_entry = self._through_links(target, followed + 1)
            if target_entry is None and self._is_folder(target):
                return replace(entry, reason="excluded", detail="a link to a folder that is listed itself")
            if target_entry is None:
                detail = f"a link to {names.shown(link.target)}, which the archive does not hold"
                return replace(entry, reason="photo_missing", detail=detail)
            return replace(target_entry, name=entry.name)
        target_entry, target_link, target_number = match
        target_entry = replace(target_entry, name=entry.name)
        return self._behind(target_entry, target_link, target_number, followed + 1) if target_link else target_entry

    def _through_links(self, name: str, followed: int) -> Entry | None:
        """A file in a folder that is a link to another folder."""
        folder = posixpath.dirname(name)
        while folder:
            match = self._match(folder)
            if match and match[1]:
                link = Link(posixpath.join(match[1].target, name[len(folder) + 1 :]))
                entry = self._behind(Entry(os.fsencode(name)), link, 0, followed + 1)
                return None if entry.reason == "photo_missing" else entry
            folder = posixpath.dirname(folder)
        return None

    def _is_folder(self, name: str) -> bool:
        if name == ".":
            return True
        return bool(self._fetch_one("SELECT 1 FROM files WHERE name >= ? AND name < ? LIMIT 1", f"{name}/", f"{name}0"))

    def _match(self, name: str, before: int | None = None) -> tuple[Entry, Link | None, int] | None:
        if before is None:
            return _read(self._fetch_one(f"{_SELECT} WHERE name = ? ORDER BY number DESC LIMIT 1", name))
        return _read(
            self._fetch_one(f"{_SELECT} WHERE name = ? AND number < ? ORDER BY number DESC LIMIT 1", name, before)
        )

    def _match_by_key(self, key: str) -> tuple[Entry, Link | None, int] | None:
        return self._match(key) or _read(self._fetch_one(f"{_SELECT} WHERE key = ? ORDER BY number DESC LIMIT 1", key))

    def _fetch_one(self, query: str, *values: Any) -> Any:
        pid_and_connection = getattr(self._local, "pid_and_connection", None)
        # A connection must not be used in a fork.
        if pid_and_connection is None or pid_and_connection[0] != os.getpid():
            uri = f"file:{quote(str(self._file.absolute()))}?mode=ro&immutable=1"
            pid_and_connection = self._local.pid_and_connection = os.getpid(), sqlite3.connect(uri, uri=True)
        return pid_and_connection[1].execute(query, values).fetchone()


def linked_while_whole(
    source: Source, opened: Callable[[], BinaryIO], read: Callable[[Entry], bytes], encoding: str
) -> Iterator[tuple[Entry, Link | None]]:
    """The files of an archive, as far as it can be read."""
    with opened() as file, suppress(DamagedArchive):
        yield from linked(source, file, read, encoding)


def build(file: Path, linked_entries: Iterable[tuple[Entry, Link | None]]) -> None:
    """Write the index of what `members.linked` finds into a new file."""
    columns = ", ".join(_COLUMNS)
    with closing(sqlite3.connect(file, isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode = OFF")
        base.execute("PRAGMA synchronous = OFF")
        base.execute(f"CREATE TABLE files (number INTEGER PRIMARY KEY, name, key, link, hard, {columns})")
        base.execute("BEGIN")
        marks = ", ".join("?" * (len(_COLUMNS) + 5))
        base.executemany(
            f"INSERT INTO files VALUES ({marks})",
            (_row(number, *entry_and_link) for number, entry_and_link in enumerate(linked_entries)),
        )
        base.execute("CREATE INDEX by_name ON files (name)")
        base.execute("CREATE INDEX by_key ON files (key) WHERE key IS NOT NULL")
        base.execute("COMMIT")


def _row(number: int, entry: Entry, link: Link | None) -> tuple[Any, ...]:
    name = _normal_of(entry)
    key = names.key(name)
    written = (names.shown(link.target), link.is_hard) if link else (None, None)
    return number, name, None if key == name else key, *written, *_values(entry.in_source(0))


def _read(row: tuple[Any, ...] | None) -> tuple[Entry, Link | None, int] | None:
    if row is None:
        return None
    number, link, hard, *values = row
    return Entry(*values), None if link is None else Link(link, bool(hard)), number


def _normal_of(entry: Entry) -> str:
    return _normal(names.shown(entry.name))


def _normal(name: str) -> str:
    return posixpath.normpath(names.shown(name)) if name else ""


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def in_order(unsorted_names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Names in the order of their letters, each with the number of times that it came; sorted on disk if they are many."""
    waiting = iter(unsorted_names)
    first = list(islice(waiting, _SORTED_IN_MEMORY))
    if len(first) < _SORTED_IN_MEMORY:
        yield from sorted(Counter(first).items())
        return
    with closing(sqlite3.connect("", isolation_level=None)) as base:  # a temporary file of SQLite's own
        base.execute("CREATE TABLE names (name TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID")
        base.execute("BEGIN")
        base.executemany(
            "INSERT INTO names VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET times = times + 1",
            ((name,) for name in chain(first, waiting)),
        )
        del first
        yield from base.execute("SELECT name, times FROM names ORDER BY name")
