"""The state of what a place holds: what tells, without reading it, whether anything in it was changed.

The identity of a job is taken of it. Reading every photo to know whether one has changed would take as long as using them.
"""

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from components.storage import folders, lists, names
from schemas.error import VisageError


class State(NamedTuple):
    """A file as it is now.

    Attributes:
        name: within its place, or as a pattern or list names it.
        size: bytes; -1 if there is no such file, or it cannot be asked.
        version: when it was changed, nanoseconds, or a store's own mark (ETag); another one for other content.
    """

    name: str
    size: int
    version: str


MISSING = -1


def state_of(place: str) -> str:
    """Digest of the names, sizes and times of change (or ETags) of all files that a place means.

    A folder means all that is under it, behind links to folders too; a pattern, what fits it; a list (text, CSV, Parquet),
    itself and the files that it names; an archive or any other file, itself; a URL, all whose name begins with it. What
    cannot be there (an empty text, a pattern that fits nothing) has a digest too.

    Raises:
        VisageError: a store does not answer.
    """
    return digest(states(place))


def state_under(root: str, files: Iterable[str]) -> str:
    """Digest of the files of these names under a root: what a table beside its photos means.

    For an archive it is the archive's own state.

    Raises:
        VisageError: a store does not answer.
    """
    return digest(states_under(root, files))


def digest(states: Iterable[State]) -> str:
    """Digest of states, whatever their order: of a million of them none has to be kept."""
    total = 0
    for state in states:
        line = "\0".join((state.name, str(state.size), state.version)).encode("utf-8", "surrogateescape")
        total += int.from_bytes(hashlib.sha256(line).digest(), "big")
    return hashlib.sha256(str(total).encode()).hexdigest()


def states(place: str) -> Iterator[State]:
    """The state of every file that a place means, see `state_of`.

    Raises:
        VisageError: a store does not answer.
    """
    if not place:
        return
    try:
        path = names.local(place)
    except ValueError:
        yield State(place, MISSING, "")
        return
    if names.is_remote(path):
        yield from _remote(path)
    elif os.path.isdir(path):  # noqa: PTH112
        yield from _folder(path)
    elif os.path.lexists(path):
        yield from _file(path)
    elif glob.has_magic(path):
        for match in glob.iglob(path, recursive=True):  # noqa: PTH207
            if os.path.isdir(match):  # noqa: PTH112
                yield from (state._replace(name=f"{match}/{state.name}") for state in _folder(match))
            else:
                yield from (state._replace(name=match) for state in _file(match))
    else:
        yield State(place, MISSING, "")


def states_under(root: str, files: Iterable[str]) -> Iterator[State]:
    """The state of each of these files under a root, see `state_under`.

    Raises:
        VisageError: a store does not answer.
    """
    root = names.local(root)
    if names.is_remote(root):
        from components.storage import remote

        yield from (State(name, *size_and_version) for name, size_and_version in remote.states(root, files))
    elif not os.path.isdir(root):  # noqa: PTH112
        yield _local(root, "")
    else:
        yield from (_local(folders.find(root, name) or names.joined(root, name), name) for name in files)


def _folder(path: str) -> Iterator[State]:
    try:
        for name, item in folders.walk(path):
            yield _local(item.path, name)
    except OSError:
        yield State("", MISSING, "")


def _file(path: str) -> Iterator[State]:
    yield _local(path, "")
    if not lists.is_list(path):
        return
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            yield from _named(lists.paths(path, file))
    except (VisageError, OSError):
        return  # a table that is no list, or one that cannot be read; its own state is all there is


def _named(paths: Iterable[str]) -> Iterator[State]:
    for path in paths:
        if names.is_remote(path):
            from components.storage import remote

            yield from (State(path, *size_and_version) for _, size_and_version in remote.states("", [path]))
        else:
            yield _local(path, path)


def _local(path: str, name: str) -> State:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return State(name, MISSING, "")
    return State(name, status.st_size, str(status.st_mtime_ns))


def _remote(place: str) -> Iterator[State]:
    from components.storage import remote

    for stored in remote.list_files(place):
        yield State(stored.name, stored.size, stored.version)
        url = stored.name or place
        if names.is_remote(url) and lists.is_list(url):  # named itself, or by a pattern; one in a folder is not read
            with suppress(VisageError, OSError), remote.open_file(url) as file:
                yield from _named(lists.paths(url, file))
