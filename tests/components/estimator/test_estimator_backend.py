"""What computes: known by name, one message where it is not there, and a forward pass for any number of faces."""

import subprocess
import sys

import numpy as np
import pytest

from components.estimator import backend, model
from components.estimator.settings import EstimatorSettings
from components.step import command
from schemas.error import VisageError
from tests import without_tensorflow


@pytest.mark.parametrize("named", ["torch", "openvino", "tensorflwo"])
def test_another_backend_is_refused_before_anything_is_done(monkeypatch, capsys, named):
    monkeypatch.setenv("KERAS_BACKEND", named)
    assert command.guarded(lambda: pytest.fail("it was done"), debug=False) == 2
    stderr = capsys.readouterr().err
    assert f"Keras is to compute with {named}" in stderr
    assert "tensorflow and jax" in stderr


def test_a_backend_that_is_not_installed_is_told_so(monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert command.guarded(lambda: pytest.fail("it was done"), debug=False) == 2
    assert "pip install 'visage[jax]'" in capsys.readouterr().err


@pytest.mark.parametrize("named", [None, "", "tensorflow"])
def test_without_a_word_tensorflow_computes(monkeypatch, named):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if named is not None:
        monkeypatch.setenv("KERAS_BACKEND", named)
    backend.demand()
    assert backend.name() == "tensorflow"


def test_one_that_keras_was_told_of_elsewhere_is_refused_too(monkeypatch):
    monkeypatch.setattr("keras.config.backend", lambda: "torch")
    with pytest.raises(VisageError, match="with torch"):
        backend.name()


def test_the_estimator_and_its_training_step_need_no_tensorflow(tmp_path):
    """But for reading and decoding: the GPU machine may have none."""
    program = (
        "import numpy as np\n"
        "from components.estimator import backend, features, heads, model, precision, saved\n"
        "from components.train import calibrate, learner, balance\n"
        "from components.estimator.settings import EstimatorSettings\n"
        "network = model.build(EstimatorSettings.model_validate({'size': 16, 'backbone': {'width': 4, 'blocks': [1]}}))\n"
        "for count in (3, 5, 1):\n"
        "    print(backend.forward(network)(np.zeros((count, 16, 16, 3), np.uint8))['age'].shape)\n"
    )
    pytest.importorskip("jax", reason="JAX is not installed: pip install 'visage[jax]'")
    completed = subprocess.run(
        [sys.executable, "-c", program],
        env=without_tensorflow.environment(tmp_path),
        cwd=without_tensorflow.PROJECT,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.splitlines() == ["(3, 101)", "(5, 101)", "(1, 101)"]


def test_a_forward_pass_takes_the_weights_as_they_are_now():
    settings = EstimatorSettings.model_validate({"size": 16, "backbone": {"width": 4, "blocks": [1]}})
    network, faces = model.build(settings), np.zeros((2, 16, 16, 3), np.uint8)
    run = backend.forward(network)
    before = np.asarray(run(faces)["age"])
    network.set_weights([weight + 1 for weight in network.get_weights()])
    assert np.abs(np.asarray(run(faces)["age"]) - before).max() > 0.1
