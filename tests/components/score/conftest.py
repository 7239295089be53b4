import shutil
from pathlib import Path

import pytest

from components.registry.mlflow_server import PATIENCE, client
from tests.components.storage.conftest import s3, s3_client

__all__ = ["s3", "s3_client"]


@pytest.fixture
def model(registered, monkeypatch) -> str:
    """A reference to the registered champion; the registry is not to be changed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
    return "visage@champion"


@pytest.fixture
def model_that_turns(registered_that_turns, monkeypatch) -> str:
    """A reference to a champion that learned from faces that were turned upright; the registry is not to be changed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered_that_turns)
    return "visage@champion"


@pytest.fixture
def small_parts(monkeypatch) -> int:
    """Parts of a few photos, so that a small job has many."""
    monkeypatch.setattr("components.score.plan.PART", 7)
    return 7


@pytest.fixture
def output(tmp_path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.fixture
def two_versions(registered, tmp_path, monkeypatch) -> str:
    """A registry of the test's own whose champion is the first of two versions of one model."""
    database = tmp_path / "mlflow.db"
    shutil.copyfile(registered.removeprefix("sqlite:///"), database)
    for name in ("MLFLOW_EXPERIMENT_ID", *PATIENCE):
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    monkeypatch.chdir(tmp_path)
    first = client().get_model_version("visage", "1")
    client().create_model_version("visage", first.source, first.run_id)
    return "visage@champion"
