"""The process in which steps run: one after another, so that TensorFlow and its like are imported once."""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from components.step import Step, Surroundings, Tracker, execute, log_setup
from components.step.identity import Identity
from components.step.settings import Section
from pipeline import figures, tracking
from pipeline.pipeline_run import PipelineRun
from schemas.artifact import Manifest
from schemas.error import VisageError


@dataclass(frozen=True)
class Event:
    """What a running step tells the runner.

    Attributes:
        step: name of the step.
        kind: `metric` or `progress`.
        values: (name, value, epoch) of a metric; (done, total, unit) of progress.
    """

    step: str
    kind: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Result:
    """What a call gave: its number, and a value or the exception that it ended with."""

    call: int
    value: Any


class StepFailure(Exception):
    """A step ended with an error nobody foresaw; the message is its type and text, the log holds the traceback."""


class Watcher(Tracker):
    """Passes metrics and progress on to the runner; progress a few times a second at most."""

    def __init__(self, step: str) -> None:
        self.step, self.last = step, 0.0

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        super().metric(name, value, step)
        _send(Event(self.step, "metric", (name, float(value), step)))

    def progress(self, done: int, total: int | None, unit: str) -> None:
        now = time.monotonic()
        if now - self.last > 0.2 or done == total:
            self.last = now
            _send(Event(self.step, "progress", (done, total, unit)))


_runner: Connection | None = None
_sending = threading.Lock()
"""Steps tell of their progress from threads of theirs too."""


def serve(runner: Connection, environment: Mapping[str, str], alive: str) -> None:
    """The life of a worker: do what the runner calls for, one thing after another, until it is gone.

    A runner that is killed cannot stop its worker. The worker watches it, so that it does not write on while the next run
    starts; its own children, which are in a group with it, end with it.
    """
    global _runner
    _runner = runner
    os.setpgrp()  # and so Ctrl-C is the runner's to answer
    os.environ.update(environment)
    _lock(Path(alive))
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    while True:
        try:
            call, function, arguments = runner.recv()
        except (EOFError, ConnectionError):
            return
        try:
            value = function(*arguments)
        except Exception as error:
            value = error
        _send(Result(call, value))


def _end_with(runner: int) -> None:
    wait([runner])
    os.killpg(0, signal.SIGKILL)


def _send(message: Event | Result) -> None:
    if _runner is not None:
        with _sending:
            _runner.send(message)


def run_step(
    step: Step,
    settings: Section,
    inputs: Mapping[str, Path],
    final: Path,
    log_file: Path,
    pipeline_run: PipelineRun,
    surroundings: Surroundings,
    step_identity: Identity,
) -> Manifest:
    """Run one step to a whole artifact, with its log in a file and its child run in MLflow.

    Raises:
        VisageError: what a person can mend.
        StepFailure: anything else; the traceback is in the log.
    """
    with _output_to(log_file):
        log_setup.set_up()

        def work() -> Manifest:
            with tracking.step_run(pipeline_run, step, settings, Watcher(step.name)) as tracker:
                manifest = execute(step, settings, inputs, final, tracker, surroundings, step_identity)
                figures.record(tracker, step, manifest, final, inputs)
                return manifest

        return _explained(work)


def call(function: Callable[..., Any], log_file: Path, *arguments: Any) -> Any:
    """Call a function of `tracking` or the registry in the worker, where MLflow is imported already."""
    with _output_to(log_file):
        log_setup.set_up()
        return _explained(lambda: function(*arguments))


def _explained(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except VisageError:
        traceback.print_exc()
        raise
    except MemoryError as error:
        traceback.print_exc()
        raise StepFailure("there is not enough memory") from error
    except OSError as error:
        traceback.print_exc()
        raise StepFailure(f"{error.filename or 'input or output'}: {error.strerror or error}") from None
    except Exception as error:
        # Libraries' exceptions often cannot be pickled: type and text go to the runner, all of it into the log.
        traceback.print_exc()
        text = str(error).strip().splitlines()
        raise StepFailure(f"{type(error).__name__}: {text[0] if text else 'no message'}") from None


@contextmanager
def _output_to(file: Path) -> Iterator[None]:
    """Send standard output and error to a file, those of native code and of child processes too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        logging.getLogger().handlers.clear()
        for stream, descriptor in zip((1, 2), saved, strict=True):
            os.dup2(descriptor, stream)
            os.close(descriptor)


def _lock(alive: Path) -> None:
    import fcntl

    descriptor = os.open(alive, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # held, by never closing it, for as long as this process lives
