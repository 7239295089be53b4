"""Where a source lies: a folder, a zip or tar that stays packed, or a folder that Beam's FileSystems read, such as a bucket."""

import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from components.photo.formats import is_picture_name
from schemas.error import VisageError

_ZIP = ".zip"
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_TABLE = re.compile(r"\.(csv|tsv|parquet)(\.(gz|bz2|xz|zst|zip))?$", re.IGNORECASE)
_LABELS = (".mat", ".txt")


def is_remote(path: str) -> bool:
    """Whether a path is one that Beam's FileSystems read, as `gs://bucket/faces`."""
    return "://" in path


def is_archive(path: str) -> bool:
    """Whether a path is called like a zip or a tar. A folder may be called so too, and a compressed table, `labels.csv.zip`."""
    if not path.lower().endswith((_ZIP, *_TARS)) or is_table(path):
        return False
    return is_remote(path) or not Path(path).expanduser().is_dir()


def is_table(path: str) -> bool:
    """Whether a path is called like a table, compressed or not."""
    return bool(_TABLE.search(path))


def is_file(path: str) -> bool:
    """Whether a path is a file; of a remote one only the name can say so."""
    return path.lower().endswith(_LABELS) or is_table(path) if is_remote(path) else Path(path).expanduser().is_file()


def check(path: str, setting: str) -> None:
    """See that a place is named and there.

    Raises:
        VisageError: it is not.
    """
    if not path:
        raise VisageError(f"{setting} is not set.", f"Give it with --set {setting}=PATH.", usage=True)
    if not is_remote(path) and not Path(path).expanduser().exists():
        raise VisageError(f"There is no {path} ({setting}).", "Name a folder or file that is there.", usage=True)


def photo_names(root: str) -> list[str]:
    """Paths of all files under a place that are called like pictures, sorted, with forward slashes.

    Hidden files, and the double that macOS puts beside each file of a zip, are no photos. A name that is not UTF-8 has
    escapes for the bytes that are not: an example could not hold it otherwise.

    Raises:
        VisageError: the place cannot be read.
    """
    found = dict.fromkeys(name for name in names(root) if _is_photo(name))
    return sorted(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for name in found)


def names(root: str) -> Iterator[str]:
    """Paths of all files under a place, in the order they are found.

    Raises:
        VisageError: the place cannot be read.
    """
    if is_remote(root) and not is_archive(root):
        yield from _remote_names(root)
    elif is_archive(root):
        with _archive(root) as archive:
            if isinstance(archive, zipfile.ZipFile):
                yield from (entry.filename for entry in archive.infolist() if not entry.is_dir())
            else:
                yield from (entry.name.removeprefix("./") for entry in archive if entry.isfile())
    else:
        yield from _folder_names(Path(root).expanduser())


def exists(folder: str, name: str) -> bool:
    """Whether a file stands in a folder.

    Raises:
        VisageError: a remote folder cannot be asked.
    """
    if is_remote(folder):
        with _remote(folder):
            return _filesystems().exists(f"{folder.rstrip('/')}/{name}")
    return (Path(folder).expanduser() / name).is_file()


def read(root: str, name: str = "") -> bytes:
    """The bytes of one file under a place; of the place itself if it is a file and no name is given.

    Raises:
        VisageError: it cannot be read.
    """
    if is_archive(root):
        with _archive(root) as archive:
            if isinstance(archive, zipfile.ZipFile):
                return archive.read(name)
            member = next((entry for entry in archive if entry.name.removeprefix("./") == name), None)
            held = archive.extractfile(member) if member else None
            if held is None:
                raise VisageError(f"There is no {name} in {root}.")
            return held.read()
    if is_remote(root):
        return _read_remote(f"{root.rstrip('/')}/{name}" if name else root)
    try:
        return (Path(root).expanduser() / name).read_bytes()
    except OSError as error:
        raise VisageError(f"{Path(root) / name} cannot be read: {error.strerror}.") from error


def way_out(path: str) -> str:
    """How a path leads out of the photos' folder; empty if it stays inside."""
    if "\0" in path:
        return "the path holds a NUL"
    parts = path.replace("\\", "/").split("/")
    if (parts[0] == "" and path) or parts[0].endswith(":"):
        return "the path is absolute"
    depth = 0
    for part in parts:
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return "the path climbs out by .."
    return ""


def within(folder: str, path: str) -> str:
    """The path of a photo that stands relative to a folder; what leads out of it is left to be seen as such."""
    return path if not folder or not path or way_out(path) else f"{folder}/{path}"


def stream(root: str, name: str = "") -> BinaryIO:
    """One file under a place, or the place itself, opened for reading from start to end and seeking.

    Raises:
        VisageError: it cannot be read.
    """
    if is_archive(root) or is_remote(root):
        return BytesIO(read(root, name))
    try:
        return (Path(root).expanduser() / name).open("rb")
    except OSError as error:
        raise VisageError(f"{Path(root) / name} cannot be read: {error.strerror}.") from error


@contextmanager
def _archive(path: str) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """An archive opened for reading; whatever goes wrong inside becomes one message."""
    try:
        with _opened(path) as file:
            if path.lower().endswith(_ZIP):
                with zipfile.ZipFile(file) as packed:
                    yield packed
            else:
                with tarfile.open(fileobj=file) as packed:
                    yield packed
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
    ) as error:
        raise VisageError(
            f"{path} cannot be read to its end: {error}.", "It is damaged or not whole: fetch it anew."
        ) from error


def _opened(path: str) -> Any:
    if is_remote(path):
        return _filesystems().open(path, compression_type="uncompressed")
    return Path(path).expanduser().open("rb")


def _folder_names(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise VisageError(f"{error.filename} cannot be read: {error.strerror}.") from error

    for at, folders, files in os.walk(folder, onerror=fail):
        folders.sort()
        inside = os.path.relpath(at, folder).replace(os.sep, "/")
        yield from (name if inside == "." else f"{inside}/{name}" for name in sorted(files))


def _remote_names(root: str) -> Iterator[str]:
    root = root.rstrip("/")
    with _remote(root):
        (matched,) = _filesystems().match([f"{root}/**"])
        found = [entry.path for entry in matched.metadata_list]
    yield from (path[len(root) + 1 :] for path in found)


def _read_remote(path: str) -> bytes:
    with _remote(path), _filesystems().open(path, compression_type="uncompressed") as file:
        return file.read()


@contextmanager
def _remote(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # every cloud's client has errors of its own, with no common base
        raise VisageError(
            f"{path} cannot be read: {error}",
            "See that it exists, that credentials are set, and that the extra [cloud] is installed.",
        ) from error


def _filesystems() -> Any:
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    # Outside a pipeline there are no options, and the S3 filesystem will not do without.
    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems


def _is_photo(name: str) -> bool:
    parts = name.split("/")
    return is_picture_name(name) and not any(part.startswith(".") or part == "__MACOSX" for part in parts)
