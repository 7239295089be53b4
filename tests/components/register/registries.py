"""Registries that tests share: made once for a process of the tests, as fixtures of all folders."""

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory) -> Path:
    """A registry's database without a run or a model, made once for all processes of the tests: it takes MLflow seconds.

    To be copied, not to be used itself.
    """
    from components import registry

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    database = folder / "empty-registry" / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
        assert registry.names() == []
    return database


@pytest.fixture(scope="session")
def model_artifacts(tmp_path_factory) -> Path:
    """A folder with the artifacts of a blessed model; not to be written to."""
    from tests.components.register import made_up

    root = tmp_path_factory.mktemp("made")
    made_up.artifacts(root, made_up.metrics())
    return root


@pytest.fixture(scope="session")
def registered(tmp_path_factory, model_artifacts, empty_registry) -> str:
    """Address of a registry with one champion; not to be changed."""
    return register(model_artifacts, tmp_path_factory.mktemp("registered"), empty_registry)


@pytest.fixture(scope="session")
def registered_that_turns(tmp_path_factory, empty_registry) -> str:
    """Address of a registry whose champion learned from faces that were turned upright; not to be changed."""
    from components.photo import PhotoSettings
    from tests.components.register import made_up

    model_artifacts, root = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("registered")
    made_up.artifacts(model_artifacts, made_up.metrics(), PhotoSettings(size=64, align=True, turns=(90, 180, 270)))
    return register(model_artifacts, root, empty_registry)


def register(model_artifacts: Path, root: Path, empty_registry: Path) -> str:
    """Register the model of some artifacts in a registry in a folder; gives its address."""
    from components.register import STEP
    from components.register.settings import Settings
    from components.step import StepContext

    shutil.copyfile(empty_registry, root / "mlflow.db")
    address = f"sqlite:///{root / 'mlflow.db'}"
    (root / "out").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MLFLOW_TRACKING_URI", address)
        STEP.run(
            Settings(),
            StepContext({step: model_artifacts / step for step in STEP.inputs}, root / "out", fingerprint="job"),
        )
    return address
