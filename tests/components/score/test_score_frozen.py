"""Predictions with the weights as constants of the graph."""

from pathlib import Path

import keras
import numpy as np
import pytest

from components.estimator import model, saved
from components.estimator.calibration import AGES, Calibration, IntervalLimits
from components.estimator.precision import in_bfloat16
from components.estimator.settings import EstimatorSettings
from components.score import frozen as subject
from components.score.frozen import frozen


@pytest.fixture
def estimator(tmp_path: Path) -> saved.Estimator:
    backbone = {"kind": "residual", "width": 8, "blocks": [1, 1]}
    settings = EstimatorSettings.model_validate({"size": 32, "backbone": backbone, "mirror": True})
    keras.utils.set_random_seed(3)
    built = model.build(settings)
    for weight in built.weights:  # as after training, where no factor is one and no offset nought
        if len(weight.shape) == 1:
            weight.assign(weight + np.random.default_rng(2).uniform(0, 0.2, weight.shape))
    saved.save(built, settings, tmp_path / "estimator")
    limits = IntervalLimits((-2.0,) * len(AGES), (1.0,) * len(AGES))
    saved.write_calibration(tmp_path / "estimator", Calibration(2.0, 2.0, limits))
    return saved.load(tmp_path / "estimator")


FACES = np.random.default_rng(1).integers(0, 255, (70, 32, 32, 3), np.uint8)


def test_it_says_what_the_estimator_says(estimator):
    predicted, expected = frozen(estimator).predict_squares(FACES), estimator.predict_squares(FACES)
    for name in ("age", "age_low", "age_high", "female"):
        np.testing.assert_allclose(getattr(predicted, name), getattr(expected, name), atol=1e-4)
    assert expected.age.std() > 0.01


def test_it_keeps_to_bfloat16(estimator):
    half = in_bfloat16(estimator)
    predicted, expected = frozen(half).predict_squares(FACES), half.predict_squares(FACES)
    exact = estimator.predict_squares(FACES)
    assert np.abs(predicted.age - expected.age).mean() < np.abs(predicted.age - exact.age).mean()


def test_its_weights_are_constants(estimator):
    still = frozen(estimator)
    expected = still.predict_squares(FACES)
    estimator.network.set_weights([0 * weight for weight in estimator.network.get_weights()])
    np.testing.assert_array_equal(still.predict_squares(FACES).age, expected.age)
    assert np.abs(estimator.predict_squares(FACES).age - expected.age).max() > 0.1


def test_on_jax_there_is_no_graph_to_freeze(estimator, monkeypatch):
    monkeypatch.setattr(subject.backend, "name", lambda: "jax")
    assert frozen(estimator) is estimator


def test_a_large_one_stays_as_it_is(estimator, monkeypatch):
    monkeypatch.setattr(subject, "LARGEST", 1000)
    assert frozen(estimator) is estimator
