"""What the outcome of a step depends on, as digests: settings, inputs, files outside, the champion, code, what is installed.

Everything that decides the outcome counts, and nothing else: a step whose identity is as before need not be run again.
"""

import ast
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.step import imports
from components.step.settings import Section, marked_fields
from components.step.step import Step
from components.storage.state import state_of, state_under
from schemas.artifact import read_manifest
from schemas.error import VisageError

if TYPE_CHECKING:
    from components.registry import ModelVersion

INPUT_TAG = "visage.input."
"""Begins the tags, of MLflow's runs and of model versions, that hold the fingerprints of the artifacts they were made from."""

_NOT_THE_OUTCOME = ("step", "report", "beam_job")
"""Rooms of `components` whose code decides how a step is run, or how its pages look, but not what comes out."""

_LAYOUT = (".html", ".j2", ".css", ".md")
"""Files beside the code that decide how pages look."""


@dataclass(frozen=True)
class Identity:
    """Everything the outcome of a step depends on.

    Attributes:
        settings: all of the step's, as plain data.
        deciding: those of them that decide the outcome.
        inputs: fingerprint of every input artifact, by the input's name.
        made: when those of them were made whose content decides the outcome.
        external: digest of the files outside that are read, by setting.
        champion: the version that the step compares with; empty where there is none, or it reads none.
        code: digest of the source that the step runs.
        installed: version of every distribution that this source imports, and of Python.
    """

    step: str
    settings: dict[str, Any]
    deciding: dict[str, Any]
    inputs: dict[str, str]
    made: dict[str, tuple[str, str]]
    external: dict[str, str]
    champion: str
    code: str
    installed: dict[str, str]

    @property
    def digest(self) -> str:
        """Digest of all that decides the outcome: the artifact's fingerprint."""
        decides = (self.step, self.deciding, self.made, self.external, self.champion, self.code, self.installed)
        return _digest(decides)

    def as_json(self) -> str:
        """For `changes`, later."""
        return json.dumps(asdict(self), default=str)

    def changes(self, earlier: str) -> dict[str, str]:
        """What is not as it was in an earlier identity, by kind, in words; empty where all is.

        Kinds are `settings`, `inputs`, `files`, `champion`, `code` and `installed`; `work` where the earlier one cannot be read.
        """
        try:
            was = json.loads(earlier)
            now = json.loads(self.as_json())
            differing = {
                "settings": _keys_that_differ(_flat(was["deciding"]), _flat(now["deciding"])),
                "inputs": _keys_that_differ(was["made"], now["made"]),
                "files": _keys_that_differ(was["external"], now["external"]),
                "champion": [now["champion"] or "none"] if was["champion"] != now["champion"] else [],
                "code": ["changed"] if was["code"] != now["code"] else [],
                "installed": _keys_that_differ(was["installed"], now["installed"]),
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"work": "not known"}
        return {kind: ", ".join(names) for kind, names in differing.items() if names}


def of_step(
    step: Step, settings: Section, inputs: Mapping[str, Path], champion: "ModelVersion | str | None" = None
) -> Identity:
    """Identity of the artifact that a step would make.

    Settings that only change how the work is done are left out; files outside count by names, sizes and times; gates by
    being there; where a registered model's champion is compared with, it counts in the place of the model's name.

    Raises:
        VisageError: an input is not a whole artifact, or a store does not answer.
    """
    deciding = settings.model_dump(mode="json")
    external = {}
    for key, value in marked_fields(settings, "external").items():
        places = [value] if isinstance(value, str | Path) else list(value or ())
        external[key] = _digest([state_of(str(place)) for place in places])
    without = [*marked_fields(settings, "runtime_only"), *external]
    if step.reads_champion:
        without.append("registry.name")
    for key in without:
        _drop(deciding, key)
    if step.files_outside:
        external["files that it names"] = _state_of_named(step, settings)
    manifests = {key: read_manifest(folder) for key, folder in sorted(inputs.items())}
    return Identity(
        step=step.name,
        settings=settings.model_dump(mode="json"),
        deciding=deciding,
        inputs={key: manifest.fingerprint for key, manifest in manifests.items()},
        # Training twice gives two models: what was made from the first must not pass for made from the second.
        made={
            key: (manifest.fingerprint, manifest.started)
            for key, manifest in manifests.items()
            if key not in step.gates
        },
        external=external,
        champion=of_champion(champion) if _compares(step, settings) else "",
        code=of_code(step.name, step.pages),
        installed=dict(of_installed(step.name, step.pages)),
    )


def _compares(step: Step, settings: Section) -> bool:
    value: Any = settings
    for name in step.champion_unless.split(".") if step.champion_unless else ():
        value = getattr(value, name)
    return step.reads_champion and not (step.champion_unless and value)


def of_champion(version: "ModelVersion | str | None") -> str:
    """What tells a model version from every other one, in other registries too; empty for none."""
    if version is None or isinstance(version, str):
        return version or ""
    return f"{version} of {version.run_id or version.created}"


@cache
def of_code(step: str, pages: tuple[str, ...] = ()) -> str:
    """Digest of the source that a step runs, comments, docstrings and descriptions aside; pages are modules that do not count."""
    files = _files(step, pages)
    digests = [(str(file.relative_to(imports.PROJECT)), _meaning(file)) for file in files]
    digests += [
        (str(file.relative_to(imports.PROJECT)), hashlib.sha256(file.read_bytes()).hexdigest())
        for file in imports.data_files(files)
        if file.suffix not in _LAYOUT
    ]
    return _digest(digests)


@cache
def of_installed(step: str, pages: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Version of every distribution that a step's source imports, and of Python."""
    names = imports.distributions(_files(step, pages))
    major, minor, _ = platform.python_version_tuple()
    return {"python": f"{major}.{minor}"} | {name: importlib.metadata.version(name) for name in names}


@cache
def of_lock() -> str:
    """Digest of requirements.lock; empty where the project was installed without it. It tells where an environment came from."""
    lock = imports.PROJECT / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else ""


@cache
def _files(step: str, pages: tuple[str, ...]) -> list[Path]:
    components = imports.PROJECT / "components"
    package = components / step
    without = {package / f"{page}.py" for page in pages}
    without |= {file for room in _NOT_THE_OUTCOME for file in (components / room).glob("*.py")}
    start = [package / "__init__.py"] if package.is_dir() else []
    return imports.project_files(*start, without=without)


def _state_of_named(step: Step, settings: Section) -> str:
    assert step.files_outside is not None
    try:
        root, names = step.files_outside(settings)
        return state_under(root, names) if root else ""
    except VisageError:
        return ""  # labels that cannot be read: the step itself will say so, in its own words


class _WithoutProse(ast.NodeTransformer):
    """Takes out what is for people: docstrings, and what settings and steps say of themselves."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in ("description", "summary")]
        if isinstance(node.func, ast.Name) and node.func.id in ("runtime_only", "external_path"):
            del node.args[1:2]
        return self.generic_visit(node)


@cache
def _meaning(file: Path) -> str:
    """Digest of what a module does: its syntax tree, without prose and places."""
    tree = _WithoutProse().visit(ast.parse(file.read_bytes()))
    return hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()


def _keys_that_differ(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*was, *now} if was.get(key) != now.get(key))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


def _drop(values: dict[str, Any], key: str) -> None:
    first, _, rest = key.partition(".")
    if rest:
        _drop(values.get(first, {}), rest)
    else:
        values.pop(first, None)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
