"""Files in stores, `s3://...`, `gs://...` or `az://...`, by fsspec; errors of all stores come as OSError.

Endpoints and credentials come from the environment, as the stores' own clients have it (AWS_ENDPOINT_URL, AWS_PROFILE,
GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_CONNECTION_STRING ...).
"""

import errno
import glob
import io
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from components.storage import names
from schemas.error import VisageError

STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")
"""What URLs begin with that are read. The web is none of them: a line in a list is no reason to call a stranger's server."""

_BUFFER = 4 << 20
_AT_ONCE = 32


class StoredFile(NamedTuple):
    """A file in a store.

    Attributes:
        name: within the place that was asked for; empty if it is the place itself.
        size: bytes.
        version: the store's own mark of its content (ETag, generation) or its time of change.
    """

    name: str
    size: int
    version: str


def objection(place: str) -> str:
    """Why a URL cannot be read here; empty if it can."""
    protocol = place.partition("://")[0].lower()
    if protocol not in STORES:
        return f"{protocol}:// is not read, but {', '.join(f'{store}://' for store in STORES[:-1])}"
    return (
        "" if _is_installed(protocol) else f"nothing is installed that reads {protocol}://: install the extra [cloud]"
    )


def check(place: str) -> None:
    """See that a URL is one that can be read here.

    Raises:
        VisageError: it is not.
    """
    if why := objection(place):
        raise VisageError(f"{place}: {why}.", usage=True)


def list_files(place: str) -> Iterator[StoredFile]:
    """All files that a URL means: what fits a pattern, what is under a folder, or the file itself; as they come.

    With a pattern, a file's name is its URL.

    Raises:
        VisageError: such URLs cannot be read here, or the store does not answer.
    """
    check(place)
    with explaining(place):
        file = info(place) if not place.endswith("/") else None
        if file:
            yield file
        elif glob.has_magic(place):
            yield from (file for _, file in _fitting(place))
        else:
            yield from under(place)


def info(place: str) -> StoredFile | None:
    """The file of a URL; None if it is none, but perhaps a folder.

    Raises:
        OSError: the store does not answer, or refuses.
    """
    store, path = _opened(place)
    with as_oserror(place):
        try:
            details = store.info(path)
        except FileNotFoundError:
            return None
    return _stored_file("", details) if details["type"] == "file" else None


def states(root: str, files: Iterable[str]) -> Iterator[tuple[str, tuple[int, str]]]:
    """Size and version of files under a URL, by name; of those that are not there, or are refused, -1 and nothing.

    Raises:
        VisageError: the store does not answer.
    """

    def state(name: str) -> tuple[str, tuple[int, str]]:
        for spelling in names.spellings(name):
            url = names.joined(root, spelling)
            if objection(url):
                break
            try:
                file = info(url)
            except PermissionError:
                break
            if file:
                return name, (file.size, file.version)
        return name, (-1, "")

    waiting = iter(files)
    with ThreadPoolExecutor(_AT_ONCE) as pool, explaining(root):
        while some := list(islice(waiting, 1000)):
            yield from pool.map(state, some)


def under(place: str) -> Iterator[StoredFile]:
    """All files whose URL begins with that of a folder, a page at a time.

    Raises:
        OSError: the store does not answer.
    """
    store, path = _opened(place)
    path = path.rstrip("/")
    with as_oserror(place):
        if "s3" in _protocols(store):
            yield from _pages_of_s3(store, path)
        else:
            yield from _by_folder(store, path)


def _by_folder(store: Any, path: str) -> Iterator[StoredFile]:
    """Without fsspec's own `walk`, which passes over a folder that cannot be listed as if there were nothing in it."""
    waiting = [(path, "")]
    while waiting:
        folder, inside = waiting.pop()
        try:
            listing = store.ls(folder, detail=True)
        except FileNotFoundError:  # in a store a folder is there as long as something is in it
            continue
        below = []
        for details in sorted(listing, key=lambda details: details["name"]):
            place = details["name"].rstrip("/")
            name = inside if place == folder else names.joined(inside, place.rpartition("/")[2])
            if details["type"] == "file" and place == details["name"]:  # with a slash it only stands for a folder
                yield _stored_file(name, details)
            elif place != folder:
                below.append((place, name))
        waiting += reversed(below)


def _pages_of_s3(store: Any, path: str) -> Iterator[StoredFile]:
    """Without s3fs's own `find`, which holds a kilobyte for each file."""
    bucket, _, folder = path.partition("/")
    prefix = f"{folder}/" if folder else ""
    more: dict[str, str] = {}
    while True:
        page = store.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        for s3_object in page.get("Contents", ()):
            name = s3_object["Key"].removeprefix(prefix)
            if name and not name.endswith("/"):
                yield StoredFile(name, s3_object["Size"], s3_object["ETag"].strip('"'))
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def fitting(pattern: str) -> Iterator[str]:
    """URLs of the files and folders that fit a pattern (`*`, `?`, `[abc]`, and `**` for any number of folders).

    Or that of the one file of this very name.

    Raises:
        OSError: the store does not answer.
    """
    if info(pattern):
        yield pattern
    else:
        yield from dict.fromkeys(place for place, _ in _fitting(pattern))


def is_folder(place: str) -> bool:
    """Whether there is anything whose URL begins with that of a folder.

    Raises:
        OSError: the store does not answer.
    """
    return next(under(place), None) is not None


def _fitting(pattern: str) -> Iterator[tuple[str, StoredFile]]:
    """What fits a pattern, a file or a folder, with each file of it, whose name is its URL."""
    from fsspec.utils import glob_translate

    fixed, fits = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0], re.compile(glob_translate(pattern))
    for file in under(fixed):
        place = fixed
        for part in file.name.split("/"):
            place = names.joined(place, part)
            if fits.match(place):
                yield place, file._replace(name=names.joined(fixed, file.name))
                break


def open_file(place: str) -> BinaryIO:
    """A remote file for reading at any place in it; for one thread at a time.

    Raises:
        FileNotFoundError: there is none.
        OSError: the store does not answer, or refuses.
    """
    store, path = _opened(place)
    with as_oserror(place):
        file = store.open(path, "rb", block_size=_BUFFER, cache_type="readahead")
    return io.BufferedReader(_Translated(file, place), _BUFFER)


def read(place: str, start: int = 0, size: int | None = None) -> bytes:
    """The bytes of a remote file, or `size` of them from `start` on; any number of threads may ask at once.

    Raises:
        FileNotFoundError: there is none.
        OSError: the store does not answer, or refuses.
    """
    store, path = _opened(place)
    if size == 0:
        return b""
    with as_oserror(place):
        return store.cat_file(path, start=start or None, end=None if size is None else start + size)


def write(place: str, data: bytes) -> None:
    """Write a remote file, whole or not at all.

    Raises:
        OSError: the store does not answer, or refuses.
    """
    store, path = _opened(place)
    with as_oserror(place):
        store.pipe_file(path, data)


def upload(file: Path, place: str) -> None:
    """Write a remote file from a local one, whole or not at all.

    Raises:
        OSError: the store does not answer, or refuses.
    """
    store, path = _opened(place)
    with as_oserror(place):
        store.put_file(str(file), path)


def download(place: str, file: Path) -> None:
    """Fetch a remote file into a local one.

    Raises:
        FileNotFoundError: there is none.
        OSError: the store does not answer, or refuses.
    """
    store, path = _opened(place)
    with as_oserror(place):
        store.get_file(path, str(file))


def remove(place: str) -> None:
    """Remove a remote file; nothing if there is none.

    Raises:
        OSError: the store does not answer, or refuses.
    """
    store, path = _opened(place)
    with as_oserror(place):
        try:
            store.rm_file(path)
        except FileNotFoundError:
            return


class _Translated(io.RawIOBase):
    """A remote file whose errors are OSErrors."""

    def __init__(self, file: Any, place: str) -> None:
        self._file, self._place = file, place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with as_oserror(self._place):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, place: int, whence: int = 0) -> int:
        with as_oserror(self._place):
            return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _opened(place: str) -> tuple[Any, str]:
    """The store that a URL is of, and the path in it."""
    check(place)
    protocol, _, path = place.partition("://")
    protocol = protocol.lower()  # in capitals it would be taken for a part of the path
    with as_oserror(place):
        store = _filesystem(protocol, os.getpid(), _surroundings())
    return store, store._strip_protocol(f"{protocol}://{path}")


@lru_cache
def _is_installed(protocol: str) -> bool:
    try:
        import fsspec

        fsspec.get_filesystem_class(protocol)
    except ImportError:
        return False
    return True


@lru_cache(maxsize=16)
def _filesystem(protocol: str, _process: int, _surroundings: tuple[tuple[str, str], ...]) -> Any:
    """One client a process for all its threads, as long as the environment says the same; fsspec would make one a thread."""
    import fsspec

    return fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True)


def _surroundings() -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in os.environ.items() if name.startswith(("AWS_", "GOOGLE_", "AZURE_")))


def _protocols(store: Any) -> tuple[str, ...]:
    return (store.protocol,) if isinstance(store.protocol, str) else tuple(store.protocol)


def _stored_file(name: str, details: dict[str, Any]) -> StoredFile:
    marks = ("ETag", "etag", "generation", "content_md5", "LastModified", "last_modified", "mtime", "created")
    version = next((str(details[mark]) for mark in marks if details.get(mark)), "")
    return StoredFile(name, int(details["size"] or 0), version.strip('"'))


@contextmanager
def as_oserror(place: str) -> Iterator[None]:
    """Around calls of a store: what it raises, of whatever kind, comes as an OSError."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "Not found", place) from error
    except PermissionError as error:
        raise PermissionError(errno.EACCES, f"Access denied ({error})", place) from error
    except VisageError:
        raise
    except Exception as error:  # every store's client has errors of its own, with no common base
        raise OSError(errno.EREMOTEIO, f"{type(error).__name__}: {error}", place) from error


@contextmanager
def explaining(place: str) -> Iterator[None]:
    """Around calls of a store: what goes wrong is one message.

    Raises:
        VisageError: the store does not answer, or refuses.
    """
    try:
        yield
    except OSError as error:
        raise VisageError(
            f"{place} cannot be read: {error.strerror or error}.",
            "See that it is there, that its store answers, and that credentials are set.",
        ) from error
