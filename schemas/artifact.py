"""Artifacts: the folders that steps write, each whole only once its manifest is there.

A step writes into a folder beside the final name. When it is done the manifest is written last, and the folder is renamed
into place. A folder without a manifest does not exist for anybody.

    NAME                        the artifact
    .NAME.FINGERPRINT.partial   what is written, or was when a step was killed; one for every job that meant to become NAME
    .NAME.replaced              the artifact that was NAME before, for the moment in which another takes its place
"""

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
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
        fingerprint: hex digest of everything the outcome depends on.
        settings: of the step, as plain data.
        inputs: fingerprint of every input artifact, by the input's name.
        external: fingerprint of every path outside the project that was read, by setting.
        champion: the model version that the step compared with; empty where there was none, or it reads none.
        code: hex digest of the source that the step runs.
        installed: version of every distribution that this source imports, and of Python.
        lock: hex digest of requirements.lock, which tells where the environment came from; empty where there is none.
        counts: figures that the step reported, for people and for later steps.
        started: UTC, ISO 8601 to the microsecond: it tells two artifacts of one fingerprint apart.
        seconds: how long the step ran.
    """

    step: str
    fingerprint: str
    settings: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)
    champion: str = ""
    code: str = ""
    installed: dict[str, str] = field(default_factory=dict)
    lock: str = ""
    counts: dict[str, Any] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0


def is_whole(folder: Path) -> bool:
    """Whether a folder is an artifact and not the remains of one."""
    _recover(folder)
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artifact.

    Raises:
        VisageError: the folder is not a whole artifact.
    """
    _recover(folder)
    try:
        return from_plain(json.loads((folder / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise VisageError(
            f"{folder} is not a finished artifact: its {MANIFEST} is missing or damaged.",
            "Name a folder that a step wrote to the end, or run that step again.",
        ) from error


def from_plain(content: Any) -> Manifest:
    """A manifest from plain data; what another version of Visage has written more is passed over.

    Raises:
        TypeError: it is none.
    """
    names = [attribute.name for attribute in fields(Manifest) if attribute.name in content]
    return Manifest(**{name: content[name] for name in names})


def as_text(manifest: Manifest) -> str:
    """A manifest as it is written, without credentials."""
    return json.dumps(redacted(asdict(manifest)), indent=1, sort_keys=True, default=str) + "\n"


def partial_folder(final: Path, fingerprint: str = "") -> Path:
    """Where an artifact is written before it is whole."""
    job = f".{fingerprint[:8]}" if fingerprint else ""
    return final.with_name(f".{final.name}{job}.partial")


def partial_folders(final: Path) -> list[Path]:
    """What jobs that were killed, or go on at this moment, have written of an artifact."""
    name = re.compile(rf"\.{re.escape(final.name)}(\.[0-9a-f]{{8}})?\.partial")
    with suppress(OSError):
        return sorted(path for path in final.parent.iterdir() if name.fullmatch(path.name))
    return []


def publish(partial: Path, final: Path, manifest: Manifest) -> None:
    """Make a finished folder an artifact: everything on disk, the manifest last, then the new name.

    An older artifact of the same name gives way. Killed at any moment, the old one or the new one is there for whoever looks
    next.
    """
    _sync(partial)
    unpublished = partial / f".{MANIFEST}"
    with unpublished.open("w") as file:
        file.write(as_text(manifest))
        file.flush()
        os.fsync(file.fileno())
    unpublished.rename(partial / MANIFEST)
    _to_disk(partial)
    replaced = _replaced(final)
    if final.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        final.rename(replaced)
    try:
        partial.rename(final)
    except FileNotFoundError:
        if not (final / MANIFEST).is_file():  # else somebody who looked has just done it
            raise
    _to_disk(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _replaced(final: Path) -> Path:
    return final.with_name(f".{final.name}.replaced")


def _recover(final: Path) -> None:
    """End what a kill within `publish` left: the old artifact is aside, the new one does not have its name yet."""
    replaced = _replaced(final)
    if final.exists() or not replaced.exists():
        return
    finished = [partial for partial in partial_folders(final) if (partial / MANIFEST).is_file()]
    with suppress(OSError):  # whoever was faster has done the same
        (finished[0] if finished else replaced).rename(final)
        _to_disk(final.parent)


def _sync(folder: Path) -> None:
    """See that all that a folder holds is on disk."""
    for inside, _, names in os.walk(folder):
        for name in names:
            path = Path(inside, name)
            if path.is_file() and not path.is_symlink():
                _to_disk(path)
        _to_disk(Path(inside))


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
