"""Who may import whom, and what the folders and files are called."""

import ast
import sys
from pathlib import Path

import pytest

from components.step.imports import imported_names
from pipeline.dag import STEPS

PROJECT = Path(__file__).parents[1]
ROOMS = {"beam_job", "detection", "drift", "estimator", "photo", "registry", "report", "step", "storage"}
"""What steps share."""

HEAVY = {"tensorflow", "keras", "apache_beam", "tensorflow_data_validation", "mlflow", "scipy", "pandas", "pyarrow"}
BESIDE = HEAVY | {"beam", "cv2", "fsspec", "jinja2", "numpy", "PIL", "pydantic", "rich", "sklearn", "yaml"}


def modules() -> list[Path]:
    folders = ("pipeline", "components", "schemas")
    return sorted(file for folder in folders for file in (PROJECT / folder).rglob("*.py"))


def project_imports(file: Path) -> set[str]:
    """The parts of the project that a file imports from, such as `components.ingest`."""
    names = {name for name in imported_names(file) if name.split(".")[0] in ("pipeline", "components", "schemas")}
    return {".".join(name.split(".")[:2]) for name in names}


def allowed(file: Path) -> set[str]:
    """Where a file may import from."""
    folder, *inside = file.relative_to(PROJECT).with_suffix("").parts
    shared = {f"components.{room}" for room in ROOMS} | {"components"}
    if folder == "schemas":
        return set()
    if folder == "components":
        return shared | {f"components.{inside[0]}"}
    return shared | {f"components.{step.name}" for step in STEPS} | {"pipeline"}


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PROJECT)))
def test_imports_point_one_way(file):
    own = file.relative_to(PROJECT).parts[0]
    wrong = {
        name
        for name in project_imports(file) - allowed(file)
        if name.split(".")[0] not in {"schemas", "pipeline" if own == "pipeline" else "schemas"}
    }
    assert not wrong, f"a step imports shared rooms and schemas; schemas import neither: {sorted(wrong)}"


def test_every_folder_of_components_is_a_step_or_a_room():
    folders = {folder.name for folder in (PROJECT / "components").iterdir() if (folder / "__init__.py").is_file()}
    files = {file.stem for file in (PROJECT / "components").glob("*.py")} - {"__init__"}
    assert folders | files <= ROOMS | {step.name for step in STEPS}


def test_every_folder_with_modules_is_a_package_or_an_installation_would_lack_it():
    """setup.py finds packages by their `__init__`; an editable installation, as all others here, does not notice."""
    assert not {file.parent for file in modules() if not (file.parent / "__init__.py").is_file()}


def test_no_module_is_called_like_a_library():
    library_names = {name.lower() for name in BESIDE | sys.stdlib_module_names}
    named = [file for file in modules() if file.stem not in ("__init__", "__main__")]
    assert not [str(file.relative_to(PROJECT)) for file in named if file.stem.lower() in library_names]


def test_the_command_line_imports_what_is_heavy_within_functions_only():
    for file in (PROJECT / "pipeline" / "cli").glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & HEAVY, file
