import shutil
from pathlib import Path

import pytest

from tests.components.register import made_up


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with the artifacts of a blessed model; not to be written to."""
    root = tmp_path_factory.mktemp("made")
    made_up.artifacts(root, made_up.metrics())
    return root


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory) -> Path:
    """A registry's database without a model; MLflow takes seconds to make one."""
    from components import registry

    database = tmp_path_factory.mktemp("registry") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(database.parent)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
        assert registry.names() == []
    return database


@pytest.fixture
def store(tmp_path, monkeypatch, empty_registry) -> Path:
    """A registry of the test's own."""
    shutil.copyfile(empty_registry, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def registered(tmp_path_factory, made, empty_registry) -> str:
    """Address of a registry with one champion; not to be changed."""
    from components.register import STEP
    from components.register.settings import Settings
    from components.step import StepContext

    root = tmp_path_factory.mktemp("registered")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    address = f"sqlite:///{root / 'mlflow.db'}"
    (root / "out").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MLFLOW_TRACKING_URI", address)
        STEP.run(Settings(), StepContext({step: made / step for step in STEP.inputs}, root / "out", fingerprint="job"))
    return address
