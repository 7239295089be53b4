"""Processes that begin with the heavy libraries imported, forked from one that has them: imports are most of what a command costs."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

LIBRARIES = (
    "apache_beam.runners.portability.fn_api_runner.fn_runner",
    "keras",
    "matplotlib.pyplot",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pyarrow.parquet",
    "tensorflow",
    "tensorflow_data_validation",
)


def context() -> Any:
    """As of `multiprocessing`: its processes are forked from one, of this process's own, that has done nothing but import."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(list(LIBRARIES))
    return server


def visage(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path) -> Any:
    """Start a `visage` command as a process with a group of its own; gives the process.

    Args:
        arguments: of the command.
        folder: where it starts.
        environment: all that it has.
        output: file that takes what it says.
    """
    process = context().Process(target=_visage, args=(list(arguments), folder, dict(environment), output))
    process.start()
    return process


def kill(process: Any) -> None:
    """Kill -9 a process that `visage` has started, with all that it has started itself."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def _visage(arguments: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with output.open("ab") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.argv = ["visage", *arguments]

    from pipeline.cli import main

    sys.exit(main())
