"""What a folder or an archive holds, file by file."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO

from components.storage import folders, remote
from components.storage.entry import Entry, Source, exclusion, objection
from components.storage.index import Index
from components.storage.members import linked
from schemas.error import VisageError


def of_folder(path: str) -> Iterator[Entry]:
    """All files under a folder in the order of their names; links are followed to files within it, others are rejects."""
    root = os.path.realpath(os.fsencode(path)) + b"/"
    waiting = [b""]
    while waiting:
        inside = waiting.pop()
        below = []
        try:
            for item in folders.scan(root + inside):
                name = inside + item.name
                if item.is_dir(follow_symlinks=False):
                    below.append(name + b"/")
                elif item.is_symlink() and not (os.path.realpath(item.path) + b"/").startswith(root):
                    yield Entry(name, reason="unsafe_path", detail="a link out of the folder")
                elif item.is_symlink() and folders.is_folder(item):
                    yield Entry(name, reason="excluded", detail="a link to a folder that is listed itself")
                else:
                    yield judged(Entry(name))
        except OSError as error:
            yield Entry(inside.rstrip(b"/"), reason="photo_unreadable", detail=f"folder: {error.strerror}")
        waiting += reversed(below)


def of_remote_folder(path: str) -> Iterator[Entry]:
    """All files whose URL begins with that of a folder.

    Raises:
        VisageError: there is none.
        OSError: the store does not answer.
    """
    empty = True
    for file in remote.under(path):
        empty = False
        yield judged(Entry(os.fsencode(file.name), size=file.size, version=f"{file.size}-{file.version}"))
    if empty:
        raise VisageError(f"There is nothing under {path}.", "Check its name and that it may be read.", usage=True)


def of_archive(
    source: Source, opened: Callable[[], BinaryIO], read: Callable[[Entry], bytes], encoding: str = ""
) -> Iterator[Entry]:
    """All files of a zip or tar, in its order, links within it as what they lead to.

    Args:
        source: the archive.
        opened: opens it for reading from its beginning.
        read: gives the bytes of an entry of it.
        encoding: of names that are not said, and do not seem, to be UTF-8.

    Raises:
        DamagedArchive: at the place from which on it cannot be read.
    """
    index: Index | None = None
    with opened() as file:
        for number, (entry, link) in enumerate(linked(source, file, read, encoding)):
            if link is None:
                yield judged(entry)
                continue
            if index is None:
                # What a link leads to may come later, and need not be near: only an archive that has links is read twice.
                index = Index.of(source, opened, read, encoding)
            yield judged(index.behind(entry, link, number))


def of_file(path: bytes) -> Entry:
    """A file by itself; its folder is the source."""
    name = path.rpartition(b"/")[2]
    reason, detail = exclusion(name) or ("", "")
    return Entry(name, reason=reason, detail=detail)


def judged(entry: Entry) -> Entry:
    """An entry, rejected if its name speaks against it."""
    rejection = None if entry.reason else objection(entry.name)
    return replace(entry, reason=rejection[0], detail=rejection[1]) if rejection else entry
