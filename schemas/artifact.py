"""Artifacts: the folders that steps write, each whole only once its manifest is there.

A step writes into a folder beside the final name. When it is done the manifest is written last, and the folder is renamed
into place. A folder without a manifest does not exist for anybody.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schemas.error import VisageError
from schemas.redaction import redacted

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What an artifact is, and what it was made from.

    Attributes:
        step: name of the step that made it.
        fingerprint: hex digest of everything the outcome depends on: settings, inputs, source, lock.
        settings: of the step, as plain data.
        inputs: fingerprint of every input artifact, by the input's name.
        external: fingerprint of every path outside the project that was read, by setting.
        code: hex digest of the source that the step runs.
        lock: hex digest of requirements.lock; empty where there is none.
        counts: figures that the step reported, for people and for later steps.
        started: UTC, ISO 8601.
        seconds: how long the step ran.
    """

    step: str
    fingerprint: str
    settings: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)
    code: str = ""
    lock: str = ""
    counts: dict[str, Any] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0


def is_whole(folder: Path) -> bool:
    """Whether a folder is an artifact and not the remains of one."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artifact.

    Raises:
        VisageError: the folder is not a whole artifact.
    """
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise VisageError(
            f"{folder} is not a finished artifact: its {MANIFEST} is missing or damaged.",
            "Name a folder that a step wrote to the end, or run that step again.",
        ) from error


def partial_folder(final: Path) -> Path:
    """Where an artifact is written before it is whole."""
    return final.with_name(f".{final.name}.partial")


def publish(partial: Path, final: Path, manifest: Manifest) -> None:
    """Make a finished folder an artifact: manifest last, everything on disk, then the new name.

    An older artifact of the same name gives way.
    """
    written = partial / f".{MANIFEST}"
    with written.open("w") as file:
        json.dump(redacted(asdict(manifest)), file, indent=1, sort_keys=True, default=str)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    written.rename(partial / MANIFEST)
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
