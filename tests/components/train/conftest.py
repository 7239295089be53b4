"""Examples that the tests of training share."""

from pathlib import Path

import pytest

from tests.components.train.drawn_faces import write_examples


@pytest.fixture(scope="session")
def examples(tmp_path_factory) -> Path:
    return write_examples(tmp_path_factory.mktemp("drawn"), {"train": 512, "validation": 128, "test": 64})


@pytest.fixture(scope="session")
def uneven(tmp_path_factory) -> Path:
    """Shares of a batch have unlike numbers of known labels."""
    folder = tmp_path_factory.mktemp("uneven")
    return write_examples(folder, {"train": 128, "validation": 32}, known=lambda row: (row % 3 > 0, row % 4 > 0))
