"""Ingest and score as commands of a driver, on workers that share nothing with it but an S3 server."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests import preloaded
from tests.cluster.go_servers import S3, Server, free_port, kill, prism, serving, versitygw
from tests.cluster.other_user import PROJECT, worker_pool

STAGING, PHOTOS = "staging", "photos"
"""Buckets."""


@dataclass(frozen=True)
class Cluster:
    """A job server and what workers and driver share.

    Attributes:
        folder: the driver's own; workers do not see it.
        s3: with the buckets `STAGING` and `PHOTOS`.
        job_server: that jobs go to.
        pool_port: where the workers of its jobs are asked for.
    """

    folder: Path
    s3: S3
    job_server: Server
    pool_port: int

    @property
    def settings(self) -> list[str]:
        """Of a command that runs on the cluster."""
        options = [
            f"--job_endpoint={self.job_server.address}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{self.pool_port}",
        ]
        values = ["runner=portable", f"staging=s3://{STAGING}", f"options=[{','.join(options)}]"]
        return [part for value in values for part in ("--set", f"beam.{value}")]

    @contextmanager
    def workers(self, name: str) -> Iterator[Server]:
        """A worker pool, of another user where this is root, in a folder of its own."""
        with worker_pool(self.folder / "workers" / name, self.s3.environment, self.pool_port) as pool:
            yield pool

    def staged(self) -> list[Path]:
        """Files in the staging bucket."""
        return [path for path in (self.s3.folder / STAGING).rglob("*") if path.is_file()]


@contextmanager
def on_prism(folder: Path) -> Iterator[Cluster]:
    """A cluster whose runner is Prism.

    Raises:
        Unavailable: Go's servers cannot be built here.
    """
    folder.chmod(0o700)
    with versitygw(folder) as s3, prism(folder) as server:
        yield _with_buckets(folder, s3, server)


@contextmanager
def on_python_job_server(folder: Path) -> Iterator[Cluster]:
    """A cluster whose runner is Beam's own in Python, which has as many SDK workers as `beam.workers` says.

    Raises:
        Unavailable: the S3 server cannot be built here.
    """
    folder.chmod(0o700)
    port = free_port()
    command = [sys.executable, "-m", "tests.cluster.python_job_server", str(port)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    with versitygw(folder) as s3, serving(command, port, folder / "job-server.log", environment, 120) as server:
        yield _with_buckets(folder, s3, server)


def _with_buckets(folder: Path, s3: S3, server: Server) -> Cluster:
    for bucket in (STAGING, PHOTOS):
        (s3.folder / bucket).mkdir()
    return Cluster(folder, s3, server, free_port())


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code, what it said, and how long it took."""

    code: int
    output: str
    seconds: float


class Driver:
    """Starts `visage` commands in a folder, each with what it says in a file.

    Args:
        folder: to start them in.
        environment: beside this process's: credentials of a store, a registry's address.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = os.environ | environment
        folder.mkdir(exist_ok=True)

    def run(self, *arguments: str, meanwhile: Callable[[], bool] | None = None, within: float = 3600) -> Done:
        """Run a command to its end.

        Args:
            arguments: of `visage`.
            meanwhile: called every tenth of a second until it gives True.
            within: seconds.
        """
        started = time.monotonic()
        output = self._folder / "said"
        process = preloaded.visage(arguments, self._folder, self._environment, output)
        try:
            while process.is_alive():
                if meanwhile and meanwhile():
                    meanwhile = None
                if time.monotonic() > started + within:
                    raise TimeoutError(f"visage {' '.join(arguments)}:\n{output.read_text()}")
                process.join(0.1)
        finally:
            preloaded.kill(process)
        return Done(process.exitcode, output.read_text(), time.monotonic() - started)


def killing(pool: Server, happened: Callable[[], bool]) -> Callable[[], bool]:
    """For `meanwhile`: kills the workers with -9, the pool and all that it has started, once something has happened."""

    def look() -> bool:
        if happened():
            kill(pool.process)
            return True
        return False

    return look


NOT_COMPARED = ("manifest.json", "summary.json", "summary.html")
"""Files of an artifact that hold times and speeds."""


def files_of(artifact: Path) -> dict[str, bytes]:
    """The files of an artifact that must be the same wherever it was made."""
    return {
        str(path.relative_to(artifact)): path.read_bytes()
        for path in sorted(artifact.rglob("*"))
        if path.is_file() and path.name not in NOT_COMPARED
    }


def scores_of(output: Path) -> pa.Table:
    """The scores of a job, all but the time at which it was started."""
    return pq.read_table(output / "scores").drop(["scored_at"])
