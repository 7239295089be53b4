"""A place, a folder or a URL, that outlives the machine a step runs on: what other pods of a cluster need not do again.

    artifacts/STEP/FINGERPRINT.json         what an artifact is: its manifest, its files, and the folder that they lie in
    artifacts/STEP/FINGERPRINT/COPY/...     its files; each that writes them has a folder of its own
    unfinished/RUN/STEP-FINGERPRINT/...     what a resumable step of a pipeline run has done so far, for its retry

An artifact is there once its .json is. Nothing is removed but what a step had unfinished and has finished: old artifacts, and
what failed runs left, go by the age that the store's own rules say.
"""

import contextlib
import json
import logging
import math
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from components.step.step import Step
from components.storage import files, names
from schemas import artifact
from schemas.artifact import Manifest
from schemas.error import VisageError

log = logging.getLogger("visage.step")

EVERY = 5.0
"""Seconds between two looks at what an unfinished step has written."""

_AT_ONCE = 8
_SETTLED = 50_000_000
"""Nanoseconds after which the time of a file tells which of two was written first."""


class ArtifactStore:
    """What is kept at one place.

    Args:
        place: a folder, or a URL such as s3://bucket/visage.
        run: key of the pipeline run, which a retry of a step has too; empty where there is none: nothing unfinished is kept.
        first: whether this is the first of the hosts that do the step's work together, or the only one. The others take what is
            there, so that all begin with the same, and keep nothing.
    """

    def __init__(self, place: str, run: str = "", *, first: bool = True) -> None:
        self.place, self.run, self.first = place.rstrip("/"), run, first

    def manifest_of(self, step: Step, fingerprint: str) -> Manifest | None:
        """The manifest of a step's artifact; None where it is not there.

        Raises:
            VisageError: the place cannot be read.
        """
        record = self._record(step, fingerprint)
        return record["manifest"] if record else None

    def fetch(self, step: Step, fingerprint: str, final: Path) -> bool:
        """Make an artifact that is kept the folder `final`; whether it was there, whole.

        Raises:
            VisageError: the place cannot be read; `final` holds something.
        """
        record = self._record(step, fingerprint)
        if not record:
            return False
        if final.is_dir() and any(final.iterdir()):
            raise VisageError(f"{final} is not empty.", "Name a folder that is new or empty.", usage=True)
        fetched = final.with_name(f".{final.name}.fetched")
        shutil.rmtree(fetched, ignore_errors=True)
        folder = f"{self.place}/artifacts/{step.name}/{fingerprint[:16]}/{record['folder']}"
        with self._explained():
            try:
                _copy_all({f"{folder}/{name}": str(fetched / name) for name in record["files"]})
            except FileNotFoundError:
                log.warning("the artifact of %s in %s has lost files: it is made anew", step.name, folder)
                shutil.rmtree(fetched, ignore_errors=True)
                return False
        final.parent.mkdir(parents=True, exist_ok=True)
        fetched.rename(final)
        return True

    def keep(self, step: Step, final: Path, manifest: Manifest) -> None:
        """Keep an artifact.

        Raises:
            VisageError: the place cannot be written.
        """
        if not self.first:
            return
        inside = sorted(str(file.relative_to(final)) for file in final.rglob("*") if file.is_file())
        base, copy = f"{self.place}/artifacts/{step.name}/{manifest.fingerprint[:16]}", uuid.uuid4().hex
        record = {"manifest": asdict(artifact.read_manifest(final)), "folder": copy, "files": inside}
        with self._explained():
            _copy_all({str(final / name): f"{base}/{copy}/{name}" for name in inside})
            files.write_bytes(f"{base}.json", json.dumps(record, indent=1).encode())

    @contextlib.contextmanager
    def carried(self, step: Step, fingerprint: str, partial: Path) -> Iterator[None]:
        """While this lasts, what the step writes into `partial` is kept too; before, `partial` is as it was kept last.

        When this ends by an error or a signal, the last of it is kept; when it ends well, there is nothing unfinished any more.

        Raises:
            VisageError: the place cannot be read, before anything is done.
        """
        if not step.resumable or not self.run:
            yield
            return
        where = f"{self.place}/unfinished/{self.run}/{step.name}-{fingerprint[:16]}"
        sender = _Sender(partial, where)
        if not partial.is_dir() or not any(partial.iterdir()):
            with self._explained():
                unfinished = sorted(files.file_names(where))
                _copy_all({f"{where}/{name}": str(partial / name) for name in unfinished})
            if unfinished:
                log.info("goes on with what was done before, in %s", where)
            sender.take_as_sent()
        if not self.first:
            yield
            return
        sender.start()
        try:
            yield
        except BaseException:
            sender.end()
            sender.send(ended=True)
            raise
        sender.end()
        for name in sender.sent:
            with contextlib.suppress(OSError):  # what stays is in nobody's way
                files.remove(f"{where}/{name}")
        if not names.is_remote(where):
            shutil.rmtree(names.local(where), ignore_errors=True)  # the folders that held it

    def _record(self, step: Step, fingerprint: str) -> dict[str, Any]:
        """What is kept of an artifact: `manifest`, `folder` and `files`; nothing where it is not there."""
        file = f"{self.place}/artifacts/{step.name}/{fingerprint[:16]}.json"
        with self._explained():
            try:
                record = json.loads(files.read_bytes(file))
                record = {name: record[name] for name in ("manifest", "folder", "files")}
                record["manifest"] = artifact.from_plain(record["manifest"])
            except FileNotFoundError:
                return {}
            except (ValueError, LookupError, TypeError) as error:
                raise ValueError(f"{file} is damaged") from error
        return record if record["manifest"].fingerprint == fingerprint else {}

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, LookupError, TypeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise VisageError(
                f"The artifact store {self.place} cannot be used: {reason}",
                "See that the step may read and write there: --artifact-store, or artifact_store in the cluster profile.",
            ) from error


class _Written(NamedTuple):
    """What tells one state of a file from another."""

    changed: int
    number: int
    size: int


class _Sender(threading.Thread):
    """Sends what a step writes, so that what is kept is at any moment what a kill of the step might have left.

    For that, files go in the order in which they were written: a checkpoint comes after what it names.
    """

    def __init__(self, folder: Path, where: str) -> None:
        super().__init__(name="artifact-store", daemon=True)
        self.folder, self.where = folder, where
        self.sent: dict[str, _Written] = {}
        self._ended = threading.Event()

    def take_as_sent(self) -> None:
        """What the folder holds now came from where it would be sent."""
        self.sent = self._states()

    def run(self) -> None:
        while not self._ended.wait(EVERY):
            self.send()

    def end(self) -> None:
        """Wait for what is on its way; then no more is sent."""
        self._ended.set()
        self.join()

    def send(self, *, ended: bool = False) -> None:
        """Send what has changed; `ended` if nobody writes any more. A store that is away is tried again the next time."""
        try:
            self._send(math.inf if ended else time.time_ns() - _SETTLED)
        except (OSError, VisageError) as error:
            log.warning("what is done so far could not be kept in %s: %s", self.where, error)

    def _send(self, begun: float) -> None:
        if not self.folder.is_dir():
            return  # it has its final name
        states = self._states()
        # What was written after this began to look may name what it has not seen.
        settled = {name: state for name, state in states.items() if state.changed < begun}
        for name in sorted(settled, key=lambda name: settled[name].changed):
            if self.sent.get(name) == settled[name]:
                continue
            if not self._send_one(name, settled[name]):
                return
            self.sent[name] = settled[name]
        if settled == states == self._states():
            for name in [name for name in self.sent if name not in states]:
                files.remove(f"{self.where}/{name}")
                del self.sent[name]

    def _send_one(self, name: str, state: _Written) -> bool:
        """Send a file, if it is still the one that was seen."""
        link = self.folder.with_name(f"{self.folder.name}.sent")
        link.unlink(missing_ok=True)
        try:
            os.link(self.folder / name, link)  # a file that is replaced meanwhile stays as it was
        except FileNotFoundError:
            return False
        try:
            if _written(link) != state:
                return False
            files.copy(str(link), f"{self.where}/{name}")
            return True
        finally:
            link.unlink()

    def _states(self) -> dict[str, _Written]:
        states = {}
        for inside, _, file_names in os.walk(self.folder):
            for path in (Path(inside, name) for name in file_names if not name.endswith(".partial")):
                with contextlib.suppress(FileNotFoundError):
                    states[str(path.relative_to(self.folder))] = _written(path)
        return states


def _written(path: Path) -> _Written:
    state = path.stat()
    return _Written(state.st_mtime_ns, state.st_ino, state.st_size)


def _copy_all(copies: Mapping[str, str]) -> None:
    """Copy files, several at once where a store has to be waited for."""
    places = [place for both in copies.items() for place in both]
    with ThreadPoolExecutor(_AT_ONCE if any(names.is_remote(place) for place in places) else 1) as pool:
        for _ in pool.map(files.copy, copies, copies.values()):
            pass
