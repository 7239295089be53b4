"""What a file of the project imports."""

import pytest

from components.step import imports


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two packages, where `a` imports from `b` within a function, and for type checkers from `c`."""
    sources = {
        "components/__init__.py": "",
        "components/a/__init__.py": "",
        "components/a/work.py": (
            "import os\nfrom typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from components.c import types\n"
            "def run():\n    import numpy as np\n    from components.b import rules\n"
        ),
        "components/b/__init__.py": "from schemas import words\n",
        "components/b/rules.py": "import yaml, no_such_package\n",
        "components/b/others.py": "import PIL\n",
        "components/c/__init__.py": "",
        "components/c/types.py": "",
        "schemas/__init__.py": "",
        "schemas/words.py": "from PIL import Image\nimport cv2, mlflow\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(imports, "PROJECT", tmp_path)
    return tmp_path


def test_files_are_followed_through_functions_and_packages(project):
    files = imports.project_files(project / "components/a/work.py")
    assert [str(file.relative_to(project)) for file in files] == [
        "components/__init__.py",
        "components/a/work.py",
        "components/b/__init__.py",
        "components/b/rules.py",
        "schemas/__init__.py",
        "schemas/words.py",
    ]


def test_packages_are_told_by_the_names_under_which_pip_knows_them(project):
    files = imports.project_files(project / "components/a/work.py")
    assert imports.distributions(files) == ["PyYAML", "mlflow", "numpy", "opencv-python-headless", "pillow"]
