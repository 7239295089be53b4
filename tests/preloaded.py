"""Processes that have the heavy libraries imported from the start: forked from one that does nothing else.

Most of what a command costs in a process of its own is imports.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
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


def visage(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path, errors: Path | None = None
) -> Any:
    """Start a `visage` command, its words as given, as a process with a group of its own; gives the process.

    Args:
        arguments: of the command.
        folder: where it starts.
        environment: all that it has.
        output: file that takes what it says.
        errors: file that takes what it says on standard error; None: the same.
    """
    return start(_visage, (list(arguments),), folder, environment, output, errors)


def start(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
    errors: Path | None = None,
) -> Any:
    """Start a process that calls a function of a module, with arguments that can be pickled, as `visage` does a command."""
    files = (output, errors or output)
    for file in files:
        file.write_text("")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(list(LIBRARIES))  # without effect once it runs
    process = server.Process(target=_serve, args=(function, arguments, folder, dict(environment), files))
    process.start()
    return process


def kill(process: Any) -> None:
    """Kill -9 a process that was started here, with all that it has started itself."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # it may not have come as far as having a group of its own
    process.join()


def _serve(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    folder: Path,
    environment: dict[str, str],
    files: tuple[Path, Path],
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files, 1):
        with file.open("ab") as log:
            os.dup2(log.fileno(), number)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    function(*arguments)


def _visage(arguments: list[str]) -> None:
    from pipeline.cli import main

    sys.argv = ["visage", *arguments]
    sys.exit(main())
