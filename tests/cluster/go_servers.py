"""Real servers written in Go: built once by Go itself, kept in the user's cache, started on free ports, stopped at the end."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {
    "prism": "github.com/apache/beam/sdks/v2/go/cmd/prism@v2.74.0",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
    "fake-gcs-server": "github.com/fsouza/fake-gcs-server@v1.56.1",
}
"""Prism is Beam's portable runner, versitygw an S3 server, fake-gcs-server one of Google's storage."""

BUILT_WITHIN = 300
"""Seconds for a build; Prism takes some two minutes of a core, and as long to fetch what it needs."""


class Unavailable(Exception):
    """Why a server cannot be had here."""


def binary(name: str) -> Path:
    """A server's program, built by Go if it is not there yet.

    Raises:
        Unavailable: there is no Go, or no way to the module proxy, or the build takes too long.
    """
    folder = cache() / PACKAGES[name].rpartition("@")[2]
    if not (folder / name).exists():
        environment = os.environ | {"GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
        build(name, ["go", "install", PACKAGES[name]], folder, environment)
    return folder / name


def cache() -> Path:
    """Where built programs are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "visage-tests"


def build(name: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run the command that builds a program, in the folder where it is kept.

    Raises:
        Unavailable: what builds it is not there, has no way to its registry, or takes too long.
    """
    builder = command[0]
    if not shutil.which(builder):
        raise Unavailable(f"there is no {builder} here to build {name}, and no {name} in {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=BUILT_WITHIN
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{builder} did not build {name} within {BUILT_WITHIN} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["it did not say why"]
        raise Unavailable(f"{builder} could not build {name}: {lines[-1]}") from error


@dataclass(frozen=True)
class Server:
    """A server that runs: its process, the port it listens to and the file its output goes to."""

    process: subprocess.Popen
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(
    command: Sequence[str], port: int, log: Path, environment: dict[str, str] | None = None, within: float = 300
) -> Iterator[Server]:
    """A server while this lasts, with all processes that it starts.

    Args:
        command: that starts it.
        port: that it will listen to.
        log: where its output goes.
        environment: of its own, in the place of this process's.
        within: seconds until it listens.

    Raises:
        RuntimeError: it ended, or did not listen in time.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + within
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not listen:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield Server(process, port, log)
    finally:
        kill(process)


def kill(process: subprocess.Popen) -> None:
    """Kill -9 a process with all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False


@contextmanager
def prism(folder: Path) -> Iterator[Server]:
    """Prism's job server.

    Raises:
        Unavailable: it cannot be built here.
    """
    program, port = binary("prism"), free_port()
    command = [str(program), f"-job_port={port}", "-serve_http=false"]
    with serving(command, port, folder / "prism.log") as server:
        yield server


@dataclass(frozen=True)
class S3:
    """An S3 server that demands credentials: what a client's environment has to say, and where the buckets' files lie."""

    environment: dict[str, str]
    folder: Path


@contextmanager
def versitygw(folder: Path) -> Iterator[S3]:
    """An S3 server; a bucket is a folder, and what lies in it is there for clients.

    Raises:
        Unavailable: it cannot be built here.
    """
    program, port = binary("versitygw"), free_port()
    buckets = folder / "buckets"
    for subfolder in (buckets, folder / "sidecar"):
        subfolder.mkdir()
    credentials = ("visage-tests", "only-for-the-tests-of-an-hour")
    command = [
        str(program),
        f"--port=127.0.0.1:{port}",
        f"--access={credentials[0]}",
        f"--secret={credentials[1]}",
        "posix",
        f"--sidecar={folder / 'sidecar'}",
        str(buckets),
    ]
    with serving(command, port, folder / "versitygw.log"):
        environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": credentials[0],
            "AWS_SECRET_ACCESS_KEY": credentials[1],
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield S3(environment, buckets)
