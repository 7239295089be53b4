"""Prediction in bfloat16."""

from pathlib import Path

import keras
import numpy as np
import pytest

from components.estimator import model, saved
from components.estimator.calibration import Calibration
from components.estimator.precision import chosen, in_bfloat16
from components.estimator.settings import EstimatorSettings

RESIDUAL = {"kind": "residual", "width": 8, "blocks": [1, 1]}


def estimator(folder: Path, **values) -> saved.Estimator:
    settings = EstimatorSettings.model_validate({"size": 32, "backbone": RESIDUAL} | values)
    keras.utils.set_random_seed(3)
    saved.save(model.build(settings), settings, folder)
    return saved.load(folder)


def faces() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (40, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("pixels", [{}, {"whiten": True}, {"colour": "grey", "standardise": True}])
def test_ages_move_by_less_than_a_tenth_of_a_year(tmp_path, pixels):
    exact = estimator(tmp_path / "estimator", pixels=pixels)
    rounded, expected = in_bfloat16(exact).predict_squares(faces()), exact.predict_squares(faces())
    assert 0 < np.abs(rounded.age - expected.age).mean() < 0.1
    assert np.abs(rounded.female - expected.female).max() < 0.02


def test_the_calibration_goes_along(tmp_path):
    exact = estimator(tmp_path / "estimator")
    saved.write_calibration(tmp_path / "estimator", Calibration(age_temperature=4.0))
    half = in_bfloat16(saved.load(tmp_path / "estimator"))
    assert (half.predict_squares(faces()).age_std > exact.predict_squares(faces()).age_std).all()


def test_feature_maps_are_in_bfloat16_pixels_and_answers_are_not(tmp_path):
    network = in_bfloat16(estimator(tmp_path / "estimator")).network
    policies = {layer.name: layer.dtype_policy.name for layer in network._flatten_layers()}
    assert {policy for name, policy in policies.items() if name.startswith("conv2d")} == {"mixed_bfloat16"}
    assert policies["age"] == policies["age_probabilities"] == policies["female_probability"] == "float32"


def test_published_backbones_with_operations_that_are_no_layers_can_be_turned_too(tmp_path):
    exact = estimator(tmp_path / "estimator", backbone={"kind": "mobilenetv3", "weights": "none"})
    half = in_bfloat16(exact)
    np.testing.assert_allclose(half.predict_squares(faces()).age, exact.predict_squares(faces()).age, atol=0.1)
    assert any(layer.dtype_policy.name == "mixed_bfloat16" for layer in half.network._flatten_layers())


@pytest.mark.parametrize(
    ("cpuinfo", "wanted"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n", "bfloat16"),
        ("flags : fpu amx_bf16 amx_tile\n", "bfloat16"),
        ("flags : fpu avx2 avx512f\n", "float32"),
        ("processor : 0\nFeatures : fp asimd\n", "float32"),
        (None, "float32"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_arithmetic_for_it(tmp_path, cpuinfo, wanted):
    if cpuinfo is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "cpuinfo").write_text(cpuinfo)
    assert chosen("auto", tmp_path) == wanted


def test_a_precision_that_is_named_is_used_on_any_processor(tmp_path):
    assert [chosen(named, tmp_path) for named in ("float32", "bfloat16")] == ["float32", "bfloat16"]
