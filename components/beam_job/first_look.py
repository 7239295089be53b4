"""The first stage of a job: a worker looks whether it reaches what it will need, before any work is done.

A worker that cannot read the staging place or the source, or has another Visage, would fail somewhere in the middle, and
with an error that speaks of something else. One worker looks; the others are taken to be like it.
"""

import glob
import hashlib
import importlib.metadata
import platform
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import apache_beam as beam

from components.beam_job.errors import errors_reach_driver
from components.beam_job.settings import BeamSettings
from components.step import imports
from components.step.identity import of_installed
from components.storage import files, names, remote
from schemas.error import VisageError

_DRIVERS, _WORKERS = "first-look.driver", "first-look.worker"

_SOURCES = 10


@dataclass(frozen=True)
class Environment:
    """What has to be the same on the driver and on all workers, or the outcome would depend on where a photo was opened.

    Attributes:
        code: digest of the source of all components and schemas.
        installed: version of distributions, and of Python; empty for one that is not there.
    """

    code: str
    installed: Mapping[str, str]

    @classmethod
    def here(cls, distributions: Iterable[str]) -> "Environment":
        """Of this process, with these distributions."""
        installed = {"python": ".".join(platform.python_version_tuple()[:2])}
        for name in distributions:
            with suppress(importlib.metadata.PackageNotFoundError):
                installed[name] = importlib.metadata.version(name)
        digest = hashlib.sha256()
        for room in ("components", "schemas"):
            for file in sorted((imports.PROJECT / room).rglob("*.py")):
                digest.update(f"{file.relative_to(imports.PROJECT)}\0".encode())
                digest.update(file.read_bytes())
        return cls(digest.hexdigest(), installed)

    def differences(self, other: "Environment") -> list[str]:
        """What the other has otherwise, for people; distributions that one of them lacks aside, as `tensorflow-cpu` may be."""
        named = [
            f"{name} {other.installed[name]} instead of {version}"
            for name, version in sorted(self.installed.items())
            if other.installed.get(name, version) != version
        ]
        return [*(["other code of Visage"] if self.code != other.code else []), *named]


def start(settings: BeamSettings, step: str, staging: str, sources: Sequence[str]) -> beam.PTransform:
    """What a job begins with: a worker's look on a cluster, `beam.Impulse` alone where the workers are on this machine."""
    return beam.Impulse() if settings.runner == "local" else FirstLook(step, staging, sources)


@dataclass
class FirstLook(beam.PTransform):
    """Begins a pipeline with one element, the empty bytes that `beam.Impulse` gives, once a worker has looked.

    Laying it out writes a small file into the staging place, which the worker reads.

    Args:
        step: name of the step whose job it is: versions of what its source imports must be the same everywhere.
        staging: place of the job.
        sources: folders, archives, patterns and URLs that workers will read; the first few are looked at.
    """

    step: str
    staging: str
    sources: Sequence[str]
    secret: str = field(default_factory=lambda: uuid.uuid4().hex)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[bytes]:
        files.write_bytes(names.joined(self.staging, _DRIVERS), self.secret.encode())
        expected = Environment.here(of_installed(self.step))
        look = Look(expected, self.staging, tuple(self.sources[:_SOURCES]), self.secret)
        return begin | beam.Impulse() | "look" >> beam.ParDo(look)


class Look(beam.DoFn):
    """See `FirstLook`; this is what the worker does."""

    def __init__(self, expected: Environment, staging: str, sources: tuple[str, ...], secret: str) -> None:
        self._expected = expected
        self._staging = staging
        self._sources = sources
        self._secret = secret

    def process(self, element: bytes) -> Iterator[bytes]:
        with errors_reach_driver(self._staging):
            self._see_environment()
            self._see_staging()
            for source in self._sources:
                _see_source(source)
        yield element

    def _see_environment(self) -> None:
        if differing := self._expected.differences(Environment.here(self._expected.installed)):
            raise VisageError(
                f"The workers have another environment than this machine: {', '.join(differing)}.",
                "Install the same Visage from the same requirements.lock at both; the image of infra/Dockerfile has it.",
            )

    def _see_staging(self) -> None:
        hint = "Set beam.staging to a folder that all workers see under this path, or to a URL (s3://, gs://, az://)."
        try:
            is_same = files.read_bytes(names.joined(self._staging, _DRIVERS)) == self._secret.encode()
        except FileNotFoundError:
            is_same = False
        except OSError as error:
            raise VisageError(
                f"The workers cannot read beam.staging at {self._staging}: {error.strerror or error}.", hint
            ) from error
        if not is_same:
            raise VisageError(f"The workers do not see what this machine wrote to {self._staging}.", hint)
        files.write_bytes(names.joined(self._staging, _WORKERS), self._secret.encode())


def _see_source(source: str) -> None:
    """Raises VisageError where there is nothing at a place, or it cannot be read, from here."""
    place = names.local(source)
    hint = "Name a place that the workers reach as well: a URL, or a folder on a disk that they share."
    try:
        if names.is_remote(place):
            is_there = next(remote.list_files(place), None) is not None
        else:
            path = Path(place)
            is_there = path.exists() or next(glob.iglob(place, recursive=True), None) is not None  # noqa: PTH207
            if path.is_dir():
                next(path.iterdir(), None)
            elif path.is_file():
                path.open("rb").close()
    except (OSError, VisageError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        raise VisageError(f"The workers cannot read {source}: {why}.", hint) from error
    if not is_there:
        raise VisageError(f"The workers find nothing at {source}.", hint)
