"""Makes a process that is started elsewhere believe that TensorFlow is not installed."""

import os
from pathlib import Path

PROJECT = Path(__file__).parents[1]

_SITE = """
import sys

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing)
"""


def environment(folder: Path) -> dict[str, str]:
    """For such a process, with JAX in its place; what it reads first is written into the folder."""
    (folder / "sitecustomize.py").write_text(_SITE)
    path = f"{folder}{os.pathsep}{PROJECT}"
    return os.environ | {"PYTHONPATH": path, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
