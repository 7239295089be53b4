"""What holds for all tests."""

import sys

import pytest


@pytest.fixture(scope="module", autouse=True)
def path_of_modules_as_it_was():
    """MLflow puts the code of a model that it loads before all else on the path, where processes started later find it."""
    before = list(sys.path)
    yield
    sys.path[:] = before
