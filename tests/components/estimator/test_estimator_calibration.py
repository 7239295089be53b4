"""Corrections of a saved estimator: kept with it, and old estimators have none."""

import json

import keras
import numpy as np
import pytest

from components.estimator import heads, model, saved
from components.estimator.calibration import AGES, Calibration, IntervalLimits, sharpened
from components.estimator.distribution import AgeDistribution
from components.estimator.settings import AgeSettings, EstimatorSettings
from schemas.error import VisageError

SMALL = EstimatorSettings.model_validate({"size": 32, "backbone": {"width": 4, "blocks": [1, 1]}})
LIMITS = IntervalLimits((-2.0,) * len(AGES), (1.0,) * len(AGES))


def gaussian(mean: float, std: float) -> np.ndarray:
    shares = np.exp(-0.5 * ((np.arange(101) - mean) / std) ** 2)
    return (shares / shares.sum())[None, :]


def test_a_temperature_widens_a_distribution_and_leaves_its_middle():
    distribution = AgeDistribution.of(sharpened(gaussian(50, 4), 4.0), heads.age_bins(AgeSettings()))
    assert distribution.mean[0] == pytest.approx(50)
    assert distribution.std[0] == pytest.approx(8, rel=0.01)


def test_the_interval_holds_all_ages_whose_error_is_within_the_limits():
    low, high = LIMITS.interval(np.array([50.0, 0.5]), np.array([4.0, 4.0]))
    assert (low[0], high[0]) == (50 - 2 * 2, 50 + 1 * 2), "limits count in square roots of standard deviations"
    assert low[1] == 0, "nobody is younger"


def test_the_expected_age_is_always_within_the_interval():
    far = IntervalLimits((3.0,) * len(AGES), (5.0,) * len(AGES))
    low, high = far.interval(np.array([50.0, 99.0]), np.array([4.0, 4.0]))
    assert (low[0], high[0]) == (50, 60)
    assert (low[1], high[1]) == (99, 99), "no age is so much older"


def test_it_is_kept_with_the_estimator_and_used(tmp_path):
    keras.utils.set_random_seed(0)  # with some weights the distribution is so narrow that a temperature changes nothing
    saved.save(model.build(SMALL), SMALL, tmp_path / "estimator")
    face = np.full((32, 32, 3), 90, np.uint8)
    before = saved.load(tmp_path / "estimator").predict_images([face])
    calibration = Calibration(2.0, 3.0, LIMITS, {"interval": {"kept": True}})
    saved.write_calibration(tmp_path / "estimator", calibration)
    loaded = saved.load(tmp_path / "estimator")
    after = loaded.predict_images([face])
    assert loaded.calibration == calibration
    logit = np.log(before.female / (1 - before.female))
    np.testing.assert_allclose(after.female, 1 / (1 + np.exp(-logit / 3)), rtol=1e-4)
    assert after.age_std[0] != before.age_std[0]
    expected = LIMITS.interval(after.age.astype(float), after.age_std.astype(float))
    np.testing.assert_allclose([after.age_low, after.age_high], expected, atol=0.3)


def test_an_estimator_that_was_saved_without_says_what_it_said(tmp_path):
    saved.save(model.build(SMALL), SMALL, tmp_path / "estimator")
    metadata = json.loads((tmp_path / "estimator" / saved.METADATA).read_text())
    assert (metadata["format"], "calibration" in metadata) == (1, False)
    assert saved.load(tmp_path / "estimator").calibration == Calibration()


def test_a_damaged_calibration_is_an_error(tmp_path):
    saved.save(model.build(SMALL), SMALL, tmp_path / "estimator")
    saved.write_calibration(tmp_path / "estimator", Calibration(limits=IntervalLimits((0.0,), (0.0,))))
    with pytest.raises(VisageError, match="needs limits for 101 ages"):
        saved.load(tmp_path / "estimator")


def test_the_probability_of_an_age_in_whole_years_begins_half_a_year_before_it():
    distribution = AgeDistribution.of(np.eye(101)[[17, 18]], heads.age_bins(AgeSettings()))
    np.testing.assert_allclose(distribution.at_least(18), [0, 1])
    np.testing.assert_allclose(distribution.log_probability(np.array([17.0, np.nan])), [0, np.nan])


def test_the_errors_of_a_regression_count_as_normal():
    distribution = AgeDistribution.of(np.array([[20.0]]), heads.AgeBins(np.empty(0), np.empty(0), std=2.5))
    assert distribution.at_least(18)[0] == pytest.approx(0.8413, abs=1e-4), "one standard deviation"
    assert distribution.log_probability(np.array([20.0]))[0] == pytest.approx(np.log(0.1585), abs=1e-3)
