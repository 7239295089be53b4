"""Examples that the tests of training share."""

from pathlib import Path

import pytest

from tests.components.train.drawn_faces import write_examples


@pytest.fixture(scope="session")
def examples(tmp_path_factory) -> Path:
    return write_examples(tmp_path_factory.mktemp("drawn"), {"train": 512, "validation": 128, "test": 64})
