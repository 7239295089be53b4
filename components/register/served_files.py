"""What a registered model carries so that it loads where the project is not installed: its code and its requirements."""

import importlib.metadata
import shutil
from pathlib import Path

from components.step.identity import PROJECT

MODEL = Path(__file__).with_name("served.py")
"""The file that MLflow runs to load the model."""

CODE = ("components/__init__.py", "components/settings.py", "components/photo.py", "components/estimator", "schemas")
"""What `served.py` imports of the project."""

PACKAGES = ("mlflow", "tensorflow", "keras", "numpy", "pandas", "pillow", "pydantic", "PyYAML")
"""What it imports of others."""


def copy_code(folder: Path) -> list[str]:
    """Copy the project's code that the model needs; gives the packages to hand to MLflow's `code_paths`."""
    for name in CODE:
        source, target = PROJECT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    return [str(package) for package in sorted(folder.iterdir())]


def requirements() -> list[str]:
    """The packages at the versions that trained the model, which are the lock's where the environment came from it."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in PACKAGES]
