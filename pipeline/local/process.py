"""The one process in which the steps of a run work, as the runner sees it."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self

from pipeline.local import worker
from pipeline.local.worker import Event, Result


class WorkerDied(Exception):
    """The process ended while it was at work; the message says how, as far as that can be told from here."""


class WorkerProcess:
    """Calls functions in a process of its own, one after another; it starts with the first call, and again after its death.

    Libraries such as TensorFlow are imported there once for all steps, what native code prints goes to the step's log, and if
    it takes all memory it is not the runner that dies.

    Args:
        environment: environment variables that it has beside the runner's own.
        alive: file whose lock it holds for as long as it lives.
    """

    def __init__(self, environment: Mapping[str, str], alive: Path) -> None:
        self._environment, self._alive = dict(environment), alive
        self._process: Any = None
        self._connection: Any = None
        self._calls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def call(self, function: Callable[..., Any], *arguments: Any, on_event: Callable[[Event], None]) -> Any:
        """What a function of `worker` gives there. Events come in their order, each before what the function gives.

        Raises:
            VisageError, StepFailure: as the function.
            WorkerDied: the process ended meanwhile.
        """
        if self._process is None:
            self._start()
        self._calls += 1
        try:
            self._connection.send((self._calls, function, arguments))
            while True:
                if self._connection not in wait([self._connection, self._process.sentinel]):
                    raise EOFError  # a child of its holds its end of the connection
                message = self._connection.recv()  # what was sent before the death comes first, then EOFError
                if isinstance(message, Event):
                    on_event(message)
                elif message.call == self._calls:
                    break
        except (EOFError, ConnectionError) as error:
            self._process.join()
            code = self._process.exitcode
            self.kill()
            cause = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with exit code {code}"
            raise WorkerDied(cause) from error
        if isinstance(message.value, Exception):
            raise message.value
        return message.value

    def kill(self) -> None:
        """End the process and all that it has started, wherever they are; what they write is safe to be left at any moment."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()  # it may not have come as far as having a group of its own
        process.join()
        self._connection.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.serve, args=(theirs, self._environment, str(self._alive)), name="visage-worker"
        )
        self._process.start()
        theirs.close()


__all__ = ["Event", "Result", "WorkerDied", "WorkerProcess"]
