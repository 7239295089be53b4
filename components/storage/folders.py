"""Folders of this machine: what is in them, and a file by its name however that is spelled."""

import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import AnyStr

from components.storage import names

_SORTED_AT_ONCE = 10_000
"""Names that are sorted together: a folder of a million files would else have to be in memory whole."""


def scan(folder: AnyStr) -> Iterator[os.DirEntry[AnyStr]]:
    """What stands in a folder, in the order of the names; in a folder of many, of every ten thousand.

    Raises:
        OSError: it cannot be read.
    """
    with os.scandir(folder) as listing:
        while batch := list(islice(listing, _SORTED_AT_ONCE)):
            yield from sorted(batch, key=lambda item: item.name)


def find(root: str, name: str) -> str | None:
    """Path of the file or folder that a name means under a root, however it is spelled there; None if there is none.

    As it is written first, then with backslashes as separators, then with accents in another of Unicode's forms.
    """
    for spelling in names.spellings(name):
        path = names.joined(root, spelling)
        if os.path.lexists(path):
            return path
    if name.isascii():
        return None
    slashed = name.replace("\\", "/")
    path = "/" if slashed.startswith("/") and not root else root or "."
    for part in filter(None, slashed.split("/")):
        actual_name = part if os.path.lexists(names.joined(path, part)) else _by_key(path).get(names.key(part))
        if actual_name is None:
            return None
        path = names.joined(path, actual_name)
    return path


def _by_key(folder: str) -> dict[str, str]:
    try:
        return _by_key_at(folder, os.stat(folder).st_mtime_ns)  # noqa: PTH116
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _by_key_at(folder: str, _changed: int) -> dict[str, str]:
    """The names in a folder that are not ASCII, by what is the same for all their spellings."""
    with os.scandir(folder) as listing:
        return {names.key(entry.name): entry.name for entry in listing if not entry.name.isascii()}


def walk(folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file under a folder with its name there, those behind links to folders too; a folder is looked into once.

    A folder that cannot be read comes itself.

    Raises:
        OSError: the folder itself cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[str, os.DirEntry[str] | None]] = [("", None)]
    while waiting:
        inside, entry = waiting.pop()
        below: list[tuple[str, os.DirEntry[str] | None]] = []
        try:
            path = names.joined(folder, inside.rstrip("/"))
            state = os.stat(path)  # noqa: PTH116
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            for item in scan(path):
                if is_folder(item):
                    below.append((f"{inside}{item.name}/", item))
                else:
                    yield f"{inside}{item.name}", item
        except OSError:
            if entry is None:
                raise
            yield inside, entry
        waiting += reversed(below)


def is_folder(item: os.DirEntry[AnyStr]) -> bool:
    """Whether something in a folder is a folder, or a link to one; a link that goes round is none."""
    try:
        return item.is_dir()
    except OSError:
        return False
