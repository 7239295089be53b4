"""A file over HTTP that arrives whole, or can be gone on with: range requests, retries, a checksum at the end.

Written here: by their own pages, pooch resumes nothing, and of those that resume (pypdl, resumable-urlretrieve; neither was
tried) none says that it asks whether the server has the same file still.
"""

import fcntl
import hashlib
import http.client
import json
import logging
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from schemas.error import VisageError

log = logging.getLogger("visage.download")

Progress = Callable[[int, int | None], None]
"""Told how many bytes are done, and of how many; None where nobody knows."""

_BLOCK = 1 << 18
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        timeout: seconds without a byte after which a connection counts as broken.
        pauses: seconds to wait before each further try; after as many tries in a row without a byte it is given up.
    """

    timeout: float = 60.0
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class _Interrupted(Exception):
    """The transfer broke off in a way that may mend."""


@dataclass
class _Version:
    """What identifies the file on the server that a partial one is the beginning of."""

    etag: str = ""
    modified: str = ""
    size: int | None = None


def fetch(
    url: str,
    file: Path,
    md5: str = "",
    progress: Progress = lambda done, total: None,
    make_room: Callable[[int], None] = lambda size: None,
    patience: Patience = Patience(),
    checked: Progress = lambda done, total: None,
) -> None:
    """Fetch a file. What an earlier call left beside it as `.partial` is gone on with if the server has the same file still.

    Args:
        url: where it is.
        file: where to put it; it appears when it is whole and its checksum is right.
        md5: hex digest that it must have; empty if none is known, then only its size is checked.
        progress: told how far it is.
        make_room: told the size of what is still to come before the first byte is taken; may raise.
        patience: how long a server that does not answer is waited for.
        checked: told how far the checksum is.

    Raises:
        VisageError: the server does not have it or is away for good, the bytes are wrong, or the disk is full.
    """
    partial = file.with_name(f"{file.name}.partial")
    notes = file.with_name(f"{file.name}.partial.json")
    with _locked(partial) as opened:
        resumed = _arrive(url, opened, notes, progress, make_room, patience)
        if md5 and not matches(partial, md5, checked):
            if resumed:
                # The beginning may have been of an older file, or damaged here; a whole transfer settles it.
                opened.truncate(0)
                _arrive(url, opened, notes, progress, make_room, patience)
            if not resumed or not matches(partial, md5, checked):
                opened.truncate(0)
                raise VisageError(
                    f"{url} gave other bytes than expected: their MD5 is not {md5}.",
                    "They were thrown away. Try again later: the server or something on the way changes the file.",
                )
    notes.unlink(missing_ok=True)
    partial.rename(file)


def _arrive(
    url: str,
    opened: BinaryIO,
    notes: Path,
    progress: Progress,
    make_room: Callable[[int], None],
    patience: Patience,
) -> bool:
    """Take the file to its end, however often it breaks off; whether it began with bytes of an earlier try."""
    resumed, failures = False, 0
    while True:
        begun = opened.seek(0, 2)
        resumed = resumed or begun > 0
        try:
            _take(url, opened, notes, progress, make_room, patience.timeout)
            return resumed
        except _Interrupted as broken:
            failures = 0 if opened.seek(0, 2) > begun else failures + 1
            if failures >= len(patience.pauses):
                raise VisageError(
                    f"{url} cannot be fetched: {broken}. {opened.tell():,} bytes are here.",
                    "The same command goes on from there.",
                ) from broken
            log.info("%s; trying again in %g s, at byte %d", broken, patience.pauses[failures], opened.tell())
            time.sleep(patience.pauses[failures])


def _take(
    url: str, opened: BinaryIO, notes: Path, progress: Progress, make_room: Callable[[int], None], timeout: float
) -> None:
    """One request, and all it gives.

    Raises:
        _Interrupted: it broke off before the end.
    """
    have = opened.seek(0, 2)
    version = _read_notes(notes) if have else _Version()
    if have and have == version.size:
        return
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "visage"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        same = version.etag if version.etag and not version.etag.startswith("W/") else version.modified
        if same:
            request.add_header("If-Range", same)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            server_version = _version(response, have)
            goes_on = (
                response.status == 206 and _starts_at(response, have) and version.size in (None, server_version.size)
            )
            if response.status == 206 and not goes_on:
                opened.truncate(0)
                raise _Interrupted("the file on the server is another one now")
            if not goes_on:
                opened.truncate(0)
                have = 0
            notes.write_text(json.dumps(asdict(server_version)))
            make_room((server_version.size or have) - have)
            while block := response.read1(_BLOCK):
                opened.write(block)
                have += len(block)
                progress(have, server_version.size)
            opened.flush()
            if server_version.size is not None and have != server_version.size:
                raise _Interrupted(f"the connection ended after {have:,} of {server_version.size:,} bytes")
    except urllib.error.HTTPError as error:
        if error.code == 416:
            opened.truncate(0)
            raise _Interrupted("the file on the server is shorter than what is here") from error
        if error.code in _PASSING:
            raise _Interrupted(f"the server answers {error.code} {error.reason}") from error
        raise VisageError(f"{url} cannot be fetched: the server answers {error.code} {error.reason}.") from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise VisageError(f"{url} cannot be fetched: the server's certificate is not valid: {reason}.") from error
        raise _Interrupted(str(reason) or type(reason).__name__) from error


def _version(response: Any, have: int) -> _Version:
    length = response.headers.get("Content-Length")
    size = int(length) if length and length.isdigit() else None
    if response.status == 206:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        size = int(total) if total.isdigit() else (None if size is None else have + size)
    return _Version(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""), size)


def _starts_at(response: Any, have: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _read_notes(notes: Path) -> _Version:
    try:
        return _Version(**json.loads(notes.read_text()))
    except (OSError, ValueError, TypeError):
        return _Version()


def _locked(partial: Path) -> BinaryIO:
    """The partial file, opened for appending, and closed to other processes as long as it is open."""
    opened = partial.open("ab")
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        opened.close()
        raise VisageError(f"Another process is fetching {partial.with_suffix('')} already.") from error
    return opened


def matches(file: Path, md5: str, progress: Progress = lambda done, total: None) -> bool:
    """Whether a file has an MD5, given as hex digest."""
    digest, size = hashlib.md5(usedforsecurity=False), file.stat().st_size
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
            progress(opened.tell(), size)
    return digest.hexdigest() == md5
