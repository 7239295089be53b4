"""What a registered model carries so that it loads where the project is not installed: its code and its requirements."""

import importlib.metadata
import shutil
from pathlib import Path

from components.step.imports import PROJECT, data_files, distributions, project_files

MODEL = Path(__file__).with_name("served.py")
"""The file that MLflow runs to load the model."""


_DETECTION = PROJECT / "components" / "detection"


def copy_code(folder: Path, turn_faces: bool) -> list[str]:
    """Copy the project's code that the model imports; gives the packages to hand to MLflow's `code_paths`.

    Args:
        folder: to copy it to.
        turn_faces: whether the model's photo settings want faces turned: only then it looks for eyes, and needs what does.
    """
    code = _imported(turn_faces)
    licences = [path for file in code if (path := file.with_name("LICENSE")).is_file()]
    for source in (*code, *data_files(code), *licences):
        target = folder / source.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return [str(package) for package in sorted(folder.iterdir())]


def requirements(turn_faces: bool) -> list[str]:
    """The packages that this code imports, at the versions that trained the model."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in distributions([MODEL, *_imported(turn_faces)])]


def _imported(turn_faces: bool) -> list[Path]:
    without = () if turn_faces else sorted(_DETECTION.rglob("*.py"))
    return [file for file in project_files(MODEL, without=without) if file != MODEL]
