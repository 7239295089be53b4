import shutil
from pathlib import Path

import pytest


@pytest.fixture
def store(tmp_path, monkeypatch, empty_registry) -> Path:
    """A registry of the test's own."""
    shutil.copyfile(empty_registry, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    return tmp_path
