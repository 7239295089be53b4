"""What holds for all tests."""

import os
import sys

import pytest

from tests.components.register.registries import empty_registry, model_artifacts, registered, registered_that_turns

__all__ = ["empty_registry", "model_artifacts", "registered", "registered_that_turns"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: of two processes neither waits long at the end for the other."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module", autouse=True)
def path_of_modules_as_it_was():
    """MLflow puts the code of a model that it loads before all else on the path, where processes started later find it."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(autouse=True)
def no_experiment_left_behind():
    """MLflow keeps the experiment last chosen in the process and its environment, where a later test has another store."""
    before = os.environ.get("MLFLOW_EXPERIMENT_ID")
    yield
    if fluent := sys.modules.get("mlflow.tracking.fluent"):
        vars(fluent)["_active_experiment_id"] = None
    if before is None:
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    else:
        os.environ["MLFLOW_EXPERIMENT_ID"] = before
