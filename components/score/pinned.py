"""What a job was begun with, and goes on with when it was interrupted, whatever has changed since: a file at its output."""

import json
import uuid
from dataclasses import asdict, dataclass, field

from components.storage import files
from components.storage.names import joined

_FILE = "job.json"


@dataclass(frozen=True)
class Pinned:
    """A job that was begun.

    Attributes:
        model: version in the registry, NAME/VERSION.
        started: UTC, ISO 8601, whole seconds.
        precision: of the model's arithmetic, `float32` or `bfloat16`.
        staging: the setting `beam.staging`.
        fingerprint: of the artifact in the making; empty where it is not known.
        key: that no other job has.
    """

    model: str
    started: str
    precision: str
    staging: str
    fingerprint: str = ""
    key: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


def write(output: str, pinned: Pinned) -> None:
    """Write what a job is begun with.

    Raises:
        OSError: it cannot be written.
    """
    files.write_bytes(joined(output, _FILE), json.dumps(asdict(pinned)).encode())


def read(output: str) -> Pinned | None:
    """What the job of an output was begun with; None if none was.

    Raises:
        ValueError: one was, by another version of Visage.
        OSError: it cannot be read.
    """
    try:
        return Pinned(**json.loads(files.read_bytes(joined(output, _FILE))))
    except FileNotFoundError:
        return None
    except TypeError as error:
        raise ValueError(f"{output} holds a job that another version of Visage began") from error


def is_there(output: str) -> bool:
    """Whether a job was begun at an output and has not cleared up yet.

    Raises:
        OSError: it cannot be read.
    """
    return files.exists(joined(output, _FILE))


def remove(output: str) -> None:
    """Remove it, when all is done.

    Raises:
        OSError: it cannot be removed.
    """
    files.remove(joined(output, _FILE))
