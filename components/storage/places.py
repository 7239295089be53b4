"""What a source of labels asks of the place it lies in: is it there, what is in it, and one file of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from components.photo import PhotoRejected
from components.photo.formats import is_picture_name
from components.storage import files, folders, names, remote
from components.storage.by_name import archive_of, explaining_damage, is_called_archive
from components.storage.entry import Entry, Source
from components.storage.index import Index, in_order
from components.storage.members import linked
from components.storage.reading import Reader
from schemas.error import VisageError

_TABLE = re.compile(r"\.(csv|tsv|parquet)(\.(gz|bz2|xz|zst|zip))?$", re.IGNORECASE)
_LABELS = (".mat", ".txt")
_ANY_SIZE = 1 << 40
_REPLACED = "another file of the same name comes after it in the archive"


class Picture(NamedTuple):
    """A file that is called like a picture.

    Attributes:
        name: under its root, with forward slashes; bytes that are not UTF-8 are written as backslash, x and two hex digits.
        replaced: why it cannot be read by its name: another file of that name comes after it in its archive; else empty.
    """

    name: str
    replaced: str = ""


def photos_root(labels: str, photos: str = "") -> str:
    """The folder, archive or folder of a store that the photos' names in a source of labels count from.

    Unless it is named, it is where the labels lie: the archive or folder itself, or the folder of the file.
    """
    if photos:
        return names.local(photos)
    root = names.local(labels)
    if is_archive(root) or not is_file(root):
        return root
    return root.rpartition("/")[0] if names.is_remote(root) else str(Path(root).parent)


def is_archive(place: str) -> bool:
    """Whether a place is a zip or tar, compressed or not; of a remote one only the name can say so.

    A folder may be called so too, and a compressed table, `labels.csv.zip`.

    Raises:
        VisageError: it is an archive of a kind that is not read, or cannot be read at all.
    """
    place = names.local(place)
    if is_table(place):
        return False
    return is_called_archive(place) if names.is_remote(place) else archive_of(place) is not None


def is_table(place: str) -> bool:
    """Whether a place is called like a table, compressed or not."""
    return bool(_TABLE.search(place))


def is_file(place: str) -> bool:
    """Whether a place is a file; of a remote one only the name can say so."""
    place = names.local(place)
    return (place.lower().endswith(_LABELS) or is_table(place)) if names.is_remote(place) else Path(place).is_file()


def check(place: str, setting: str) -> None:
    """See that a place is named and there.

    Raises:
        VisageError: it is not.
    """
    if not place:
        raise VisageError(f"{setting} is not set.", f"Give it with --set {setting}=PATH.", usage=True)
    try:
        path = names.local(place)
    except ValueError as error:
        raise VisageError(f"{error} ({setting}).", usage=True) from error
    if names.is_remote(path):
        remote.check(path)
    elif not Path(path).exists():
        raise VisageError(f"There is no {place} ({setting}).", "Name a folder or file that is there.", usage=True)


def picture_names(root: str, names_encoding: str = "") -> Iterator[Picture]:
    """All files under a place that are called like pictures, in the order of their names.

    Hidden files, and the double that macOS puts beside each file of a zip, are no photos.

    Raises:
        VisageError: the place cannot be read.
    """
    unsorted_names = (
        name for name in file_names(root, names_encoding) if is_picture_name(name) and not _is_hidden(name)
    )
    for name, times in in_order(unsorted_names):
        yield from (Picture(name, _REPLACED) for _ in range(times - 1))
        yield Picture(name)


def file_names(root: str, names_encoding: str = "") -> Iterator[str]:
    """Names of all files under a place, in the order they are found; in a folder those behind links to folders too.

    Raises:
        VisageError: the place cannot be read.
    """
    root = names.local(root)
    source = None if is_table(root) else archive_of(root)
    if source:
        yield from _in_archive(source, names_encoding)
    elif names.is_remote(root):
        with remote.explaining(root):
            yield from (file.name for file in remote.under(root))
    else:
        yield from _in_folder(root)


def _in_archive(source: Source, encoding: str) -> Iterator[str]:
    with explaining_damage(source.place), Reader([source], _ANY_SIZE) as reader, files.open_file(source.place) as file:
        yield from (names.shown(entry.name) for entry, _ in linked(source, file, partial(_read, reader), encoding))


def _in_folder(root: str) -> Iterator[str]:
    try:
        for name, item in folders.walk(root):
            if folders.is_folder(item):
                raise VisageError(f"{item.path} cannot be read.", "See who may read it.")
            yield names.shown(name)
    except OSError as error:
        raise VisageError(f"{error.filename} cannot be read: {error.strerror}.") from error


def exists(folder: str, name: str) -> bool:
    """Whether a file stands in a folder.

    Raises:
        VisageError: a store cannot be asked.
    """
    with remote.explaining(folder):
        return files.exists(names.joined(folder, name))


def read(root: str, name: str = "", names_encoding: str = "") -> bytes:
    """The bytes of one file under a place; of the place itself if it is a file and no name is given.

    Raises:
        VisageError: it cannot be read.
    """
    root = names.local(root)
    source = archive_of(root) if name else None
    if source is None:
        with _explaining(root, name) as place:
            return files.read_bytes(place)
    with explaining_damage(root), Reader([source], _ANY_SIZE) as reader:
        index = Index.of(source, partial(files.open_file, root), partial(_read, reader), names_encoding)
        entry = index.find(name)
        if entry is None:
            raise VisageError(f"There is no {name} in {root}.")
        try:
            return _read(reader, entry)
        except PhotoRejected as rejected:
            raise VisageError(f"{name} in {root} cannot be read: {rejected.detail}.") from rejected


def stream(root: str, name: str = "", names_encoding: str = "") -> BinaryIO:
    """One file under a place, or the place itself, opened for reading from start to end and seeking.

    Raises:
        VisageError: it cannot be read.
    """
    root = names.local(root)
    if name and archive_of(root):
        return BytesIO(read(root, name, names_encoding))
    with _explaining(root, name) as place:
        return files.open_file(place)


def within(folder: str, path: str) -> str:
    """The path of a photo that stands relative to a folder; what leads out of it is left to be seen as such."""
    return path if not folder or not path or names.way_out(path) else f"{folder}/{path}"


@contextmanager
def _explaining(root: str, name: str) -> Iterator[str]:
    """The place of a file under a root; what goes wrong with it is one message."""
    place = names.joined(root, name)
    if name and not names.is_remote(root):
        place = folders.find(root, name) or place
    try:
        yield place
    except OSError as error:
        raise VisageError(f"{place} cannot be read: {error.strerror or error}.") from error


def _read(reader: Reader, entry: Entry) -> bytes:
    return reader.read(entry.in_source(0))


def _is_hidden(name: str) -> bool:
    return any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in name.split("/"))
