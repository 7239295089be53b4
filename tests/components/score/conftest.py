from pathlib import Path

import pytest

from tests.components.register.conftest import empty_registry, made, registered

__all__ = ["empty_registry", "made", "registered"]


@pytest.fixture
def model(registered, monkeypatch) -> str:
    """A reference to the registered champion; the registry is not to be changed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
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
