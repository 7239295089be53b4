"""Processes that take faces beside each other, for the threads of the local runner.

Pillow decodes without Python's lock, but encodes with it, and with small photos the rest is Python: two threads do at best half
as much again as one, two processes twice as much where there are two cores. A cluster's workers are processes anyway, and photos
in a bucket are waited for rather than worked on; there each worker takes its faces itself.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from components.beam_job import workers_here
from components.ingest.blocks import pack_records, unpack_records
from components.ingest.extract import FaceExtractor
from components.ingest.faces import Row, read_rows
from components.ingest.labels import SplitSettings
from components.ingest.settings import Settings
from components.ingest.sources import photos_root
from components.ingest.spool import Spool, scratch_folder
from components.photo import PhotoSettings
from components.storage.by_name import open_files
from components.storage.names import is_remote
from schemas.error import VisageError
from schemas.record import FaceRecord
from schemas.reject import Reject

ENOUGH = 500
"""Fewer photos are taken before the processes have started."""

_running: dict[str, "Processes"] = {}


RowsAndRejects = tuple[list[Row], list[Reject]]
"""What became of some records: faces, whose Examples are in the spool, and rejects."""


@contextmanager
def processes(settings: Settings, staging: str, again: bool = False) -> Iterator[None]:
    """While this lasts, workers of this process find others by `running`, if the settings have it so that they need them.

    Those of an ingest that uses an earlier one `again` may not be needed, and start when the first photos are brought to them.
    """
    count, root = workers_here(settings.beam), photos_root(settings.source)
    if count < 2 or is_remote(root):
        yield
        return
    pool = Processes(count, (root, settings.source.names_encoding, settings.photo, settings.ingest.split, staging))
    _running[staging] = pool
    try:
        if not again:
            pool.start()
        yield
    finally:
        del _running[staging]
        pool.close()


def running(staging: str) -> "Processes | None":
    """The processes that take faces for the job of this staging place; None if there are none, or it has too few photos."""
    counted = read_rows(staging) if staging in _running else None
    return _running.get(staging) if counted and counted.kept >= ENOUGH else None


class Processes:
    """As many processes as there are workers, among which every batch is divided, so that all have work to the end.

    The first one is started, imports what it needs and opens the photos; the others are forks of it, before it has threads.
    None of them makes Arrow tables, so that none has to wait for pyarrow and pandas to be imported.

    They end when their end of the pipe is closed, even if this process is killed.
    """

    def __init__(self, count: int, taking: tuple[str, str, PhotoSettings, SplitSettings, str]) -> None:
        self._count = count
        self._taking = taking
        self._lock = threading.Lock()
        self._links: list[Connection] = []
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(count)

    def start(self) -> None:
        """Start them, if they are not started yet; they get ready while the caller goes on."""
        with self._lock:
            if self._links:
                return
            pairs = [Pipe() for _ in range(self._count)]
            theirs = [child_end.fileno() for _, child_end in pairs]
            self._links = [own_end for own_end, _ in pairs]
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, *map(str, theirs)],
                stdin=subprocess.DEVNULL,
                pass_fds=theirs,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            for _, child_end in pairs:
                child_end.close()
            with suppress(OSError):  # if it has ended already, `take` says so
                self._links[0].send(self._taking)
            for link in self._links:
                self._idle.put(link)

    def take(self, records: list[FaceRecord]) -> RowsAndRejects:
        """The faces of these records, spooled, and rejects of the others; any number of threads may ask at once.

        Raises:
            VisageError: the process was killed.
        """
        self.start()
        parts = [pack_records(records[first :: self._count]) for first in range(self._count)]
        faces, rejects = zip(*self._threads.map(self._request, parts), strict=True)
        return list(chain.from_iterable(faces)), list(chain.from_iterable(rejects))

    def _request(self, part: bytes) -> RowsAndRejects:
        link = self._idle.get()
        try:
            link.send(part)
            answer = link.recv()
        except (EOFError, OSError) as error:
            raise VisageError(
                "A process that opened photos has ended, perhaps killed for want of memory.",
                "Run the command again, with fewer processes by beam.workers if memory is short.",
            ) from error
        finally:
            self._idle.put(link)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Let the processes end, once they are through with what they are at."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for link in self._links:
            link.close()
        if self._links:
            self._process.wait()


def main(numbers: list[str]) -> None:
    """Serve the pipes of these file numbers, each by a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us hears of it, and closes the pipes
    links = [Connection(int(number)) for number in numbers]
    root, encoding, photo, split, staging = links[0].recv()
    extractor = FaceExtractor(open_files(root, photo.max_bytes, encoding, scratch_folder(staging)), photo, split)
    # No process may hold another's pipe, or nobody would notice if that one is killed.
    while len(links) > 1:
        link = links.pop()
        if not os.fork():
            for other in links:
                other.close()
            links = [link]
            break
        link.close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _serve(links[0], extractor, staging)
    links[0].close()
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _serve(link: Connection, extractor: FaceExtractor, staging: str) -> None:
    while True:
        batch = link.recv()
        try:
            records = unpack_records(batch)
            extraction = extractor.take(records)
            spool = Spool(staging, 0)
            spool.add(extraction, len(records))
            answer: RowsAndRejects | Exception = spool.flush(), extraction.rejects
        except Exception as error:  # whatever it is, the worker that asked has to know
            answer = error
        link.send(answer)


if __name__ == "__main__":
    main(sys.argv[1:])
