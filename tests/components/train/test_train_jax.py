"""On JAX training goes as on TensorFlow, and what one saves the other loads."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.estimator import backend
from components.train import devices
from schemas.error import VisageError
from tests.components.train import on_backend
from tests.components.train.test_train_devices import SETTINGS, read_losses

PROJECT = Path(__file__).parents[3]
with_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install 'visage[jax]'"
)

SGD = {"name": "sgd", "learning_rate": 1e-4}
CASES: dict[str, tuple[dict[str, Any], float]] = {
    "default": ({}, 1e-5),
    "bfloat16": ({"train": {"precision": "bfloat16", "optimizer": SGD}}, 2e-3),
    "float16": ({"train": {"precision": "float16", "optimizer": SGD}}, 5e-4),
    "ordinals_whitened_not_averaged": (
        {
            "estimator": {
                "age": {"head": "ordinal", "loss": "coral"},
                "gender": {"head": "softmax"},
                "pixels": {"colour": "grey", "whiten": True},
            },
            "train": {"average": 0, "optimizer": {"name": "rmsprop"}},
        },
        1e-5,
    ),
}
"""Settings, and how far losses may be apart, as a share of them."""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What came of the same steps on TensorFlow, here, and on JAX, elsewhere: two folders with one a case."""
    ours, theirs = tmp_path_factory.mktemp("tensorflow"), tmp_path_factory.mktemp("jax")
    for name, (values, _) in CASES.items():
        for folder in (ours / name, theirs / name):
            folder.mkdir()
            (folder / "settings.json").write_text(json.dumps(values))
        on_backend.case(ours / name)
        shutil.copy(ours / name / "start.npz", theirs / name)
        shutil.copytree(ours / name / "own", theirs / name / "theirs")
    subprocess.run(
        [sys.executable, "-m", "tests.components.train.on_backend", str(theirs)],
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=PROJECT,
        check=True,
    )
    return ours, theirs


@with_jax
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_tensorflow(both, case):
    here, there = (json.loads((folder / case / "losses.json").read_text()) for folder in both)
    assert (here["backend"], there["backend"]) == ("tensorflow", "jax")
    np.testing.assert_allclose(there["rows"], here["rows"], rtol=CASES[case][1])
    assert len({row[2] for row in here["rows"]}) == on_backend.STEPS, "every step changes something"


@with_jax
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_an_estimator_says_the_same_whichever_backend_loads_it(both, case):
    ours, theirs = (folder / case for folder in both)
    np.testing.assert_allclose(np.load(theirs / "theirs.npy"), np.load(ours / "own.npy"), atol=1e-3)
    np.testing.assert_allclose(np.load(theirs / "own.npy"), on_backend.predicted(theirs / "own"), atol=1e-3)


SCRIPT = """
import json, sys
from pathlib import Path
from tests.components.train.test_train_devices import train
train(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), devices=1)
"""


@with_jax
@pytest.mark.slow
def test_two_devices_reach_the_losses_of_one(uneven, tmp_path):
    settings = SETTINGS | {"train": SETTINGS["train"] | {"average": 0.9}}
    by_devices = []
    for count in (1, 2):
        flags = f"--xla_force_host_platform_device_count={count}"
        output = tmp_path / f"of{count}"
        output.mkdir()
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(uneven), str(output), json.dumps(settings)],
            env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
            cwd=PROJECT,
            check=True,
        )
        by_devices.append(read_losses(output))
        assert (output / "report.html").read_text().count("CPU, CPU (JAX)") == count - 1
    assert by_devices[0] == pytest.approx(by_devices[1], rel=1e-4)
    assert by_devices[0][0] > by_devices[0][2], "it learns"


def test_several_hosts_are_refused(monkeypatch):
    monkeypatch.setattr(backend, "name", lambda: "jax")
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["one:2222", "two:2222"]}}))
    with pytest.raises(VisageError, match="only TensorFlow trains on several hosts"):
        devices.strategy()
