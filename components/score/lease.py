"""A lease on a URL, by which two jobs that would write there are kept apart: a store has no locks.

Each job leaves a note of its own, and looks for others only then, so that of two at least one sees the other. A note is renewed
for as long as its job is at work; one that stays the same for `PATIENCE` seconds is of a job that was killed. Nobody's clock is
held against another's.
"""

import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from components.storage import files
from components.storage.names import joined
from schemas.error import VisageError

log = logging.getLogger("visage.score")

FOLDER = "at-work"
"""Where the notes lie, under the URL."""

RENEWED_EVERY = 10.0
"""Seconds."""

PATIENCE = 60.0
"""Seconds after which a job whose note has stayed the same is taken for killed: a store may be slow for a while."""


@contextmanager
def lease(url: str) -> Iterator[Callable[[], None]]:
    """Keep a URL to this job; gives a function that sees whether it still is.

    It may no longer be where this process stood still, asleep or cut off from the store, until it was taken for killed.

    Raises:
        VisageError: another job is at work there, or, by the function, has taken the URL over.
        OSError: the store does not answer, or refuses.
    """
    folder, name = joined(url, FOLDER), f"{uuid.uuid4().hex[:12]}.txt"
    note, ended = joined(folder, name), threading.Event()

    def see_that_it_is_kept() -> None:
        if not files.exists(note):
            raise VisageError(
                f"Another job has taken over {url}: for {PATIENCE:g} seconds it saw no sign of this one.",
                "Give the same command again when that one is done.",
            )

    job = f"begun at {_now()} by process {os.getpid()} of {platform.node()}"
    _write(note, job)
    renewing = threading.Thread(target=_renew, args=(note, job, ended), daemon=True)
    renewing.start()
    try:
        _see_that_nobody_is_at_work(url, folder, name)
        yield see_that_it_is_kept
    finally:
        ended.set()
        renewing.join()
        with suppress(OSError):  # it will be taken for that of a job that was killed
            files.remove(note)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _write(note: str, job: str) -> None:
    files.write_bytes(note, f"{job}, at work at {_now()}".encode())


def _renew(note: str, job: str, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_EVERY):
        with suppress(OSError):  # what the store says next time is early enough
            if not files.exists(note):
                return
            _write(note, job)


def _see_that_nobody_is_at_work(url: str, folder: str, own: str) -> None:
    """Wait until it is clear that the jobs that left other notes are no more, and remove these.

    Raises:
        VisageError: one is at work.
    """
    others = _notes(folder, own)
    if not others:
        return
    job = next(iter(others.values())).decode(errors="replace")
    log.info("%s has the note of another job (%s): seeing for %g s whether it is at work still", url, job, PATIENCE)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        time.sleep(PATIENCE / 60)
        if _notes(folder, own) != others:
            raise VisageError(f"Another job is at work at {url}, {job}.", "Wait for it, or choose another place.")
    for name in others:
        files.remove(joined(folder, name))


def _notes(folder: str, own: str) -> dict[str, bytes]:
    """Those of other jobs, by name."""
    notes = {}
    for name in files.file_names(folder):
        if name != own:
            with suppress(FileNotFoundError):
                notes[name] = files.read_bytes(joined(folder, name))
    return notes
