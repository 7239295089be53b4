"""What a registered model carries so that it loads where the project is not installed: its code and its requirements."""

import importlib.metadata
import shutil
from pathlib import Path

from components.step.imports import PROJECT, distributions, project_files

MODEL = Path(__file__).with_name("served.py")
"""The file that MLflow runs to load the model."""


def copy_code(folder: Path) -> list[str]:
    """Copy the project's code that the model imports; gives the packages to hand to MLflow's `code_paths`."""
    for source in _imported():
        target = folder / source.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return [str(package) for package in sorted(folder.iterdir())]


def requirements() -> list[str]:
    """The packages that this code imports, at the versions that trained the model."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in distributions([MODEL, *_imported()])]


def _imported() -> list[Path]:
    return [file for file in project_files(MODEL) if file != MODEL]
