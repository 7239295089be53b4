"""What the outcome of a step depends on, as digests: settings, inputs, files outside, its source, the lock."""

import ast
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.step.settings import Section, marked_fields
from schemas.artifact import read_manifest

PROJECT = Path(__file__).resolve().parents[2]
_PACKAGES = ("components", "schemas")


@dataclass(frozen=True)
class Identity:
    """Everything the outcome of a step depends on, and the digest of it all; fields as in `Manifest`."""

    digest: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    external: dict[str, str]
    code: str
    lock: str


def of_step(name: str, settings: Section, inputs: Mapping[str, Path]) -> Identity:
    """Identity of the artifact that a step would make.

    Settings that only change how the work is done are left out; paths outside count by what they hold.

    Raises:
        VisageError: an input is not a whole artifact.
    """
    values = settings.model_dump(mode="json")
    meaning = settings.model_dump(mode="json")
    external = {}
    for key, value in marked_fields(settings, "external").items():
        paths = [value] if isinstance(value, str | Path) else list(value or ())
        external[key] = _digest([of_path(str(path)) for path in paths])
    for key in (*marked_fields(settings, "runtime_only"), *external):
        _drop(meaning, key)
    manifests = {key: read_manifest(folder) for key, folder in sorted(inputs.items())}
    known = {key: manifest.fingerprint for key, manifest in manifests.items()}
    # Training twice gives two models: what was made from the first must not pass for made from the second.
    made = {key: manifest.started for key, manifest in manifests.items()}
    code, lock = of_code(f"components.{name}"), of_lock()
    digest = _digest([name, meaning, known, made, external, code, lock])
    return Identity(digest, values, known, external, code, lock)


def of_path(path: str) -> str:
    """Digest of a file or folder by names, sizes and times of change; of the text itself where it is no local path.

    Reading every photo to know whether one has changed would take as long as using them.
    """
    local = Path(path).expanduser()
    if not path:
        return ""
    if local.is_file():
        return _digest(_state(local.stat()))
    if local.is_dir():
        return _digest(sorted(_tree(local, "")))
    return _digest(path)


@cache
def of_code(module: str) -> str:
    """Digest of the source of a package and of everything of the project that it imports."""
    files: set[Path] = set()
    waiting = sorted((PROJECT / module.replace(".", "/")).rglob("*.py"))
    while waiting:
        file = waiting.pop()
        if file not in files:
            files.add(file)
            waiting += _imported(file)
    data = sorted((PROJECT / "schemas").glob("*.pbtxt"))
    return _digest(
        [
            (str(file.relative_to(PROJECT)), hashlib.sha256(file.read_bytes()).hexdigest())
            for file in sorted(files) + data
        ]
    )


@cache
def of_lock() -> str:
    """Digest of requirements.lock; empty where the project was installed without it."""
    lock = PROJECT / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else ""


def _imported(file: Path) -> list[Path]:
    names = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    found = []
    for name in names:
        if name.split(".")[0] in _PACKAGES:
            place = PROJECT / name.replace(".", "/")
            found += [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()]
    return found


def _tree(folder: Path, prefix: str) -> list[tuple]:
    entries = []
    with os.scandir(folder) as listing:
        for entry in listing:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                entries += _tree(Path(entry.path), f"{name}/")
            else:
                entries.append((name, *_state(entry.stat(follow_symlinks=False))))
    return entries


def _state(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _drop(values: dict[str, Any], key: str) -> None:
    first, _, rest = key.partition(".")
    if rest:
        _drop(values[first], rest)
    else:
        values.pop(first, None)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
