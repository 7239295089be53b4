"""Calibration of a model that is too sure of itself and under-estimates old age, on faces that are drawn as numbers."""

import numpy as np
import pytest

from components.estimator import heads
from components.estimator.distribution import AgeDistribution
from components.estimator.settings import AgeSettings
from components.train import calibrate

BINS = heads.age_bins(AgeSettings())


def calibration_set(
    faces: int, seed: int, claimed_std: float = 3.0, std: float = 6.0, between: tuple[int, int] = (0, 100)
) -> calibrate.CalibrationSet:
    """Of people of these ages, years; above 50 years they seem 5 years younger, and the error is larger than is claimed."""
    rng = np.random.default_rng(seed)
    ages = rng.integers(*between, faces).astype(float)
    apparent_ages = np.clip(ages - 5 * (ages > 50) + rng.normal(0, std, faces), 0, 100)
    shares = np.exp(-0.5 * ((BINS.centres[None, :] - apparent_ages[:, None]) / claimed_std) ** 2)
    female = rng.integers(0, 2, faces).astype(float)
    logit = 8 * (female - 0.5 + rng.normal(0, 0.5, faces))
    outputs = {"age": shares / shares.sum(axis=1, keepdims=True), "female": 1 / (1 + np.exp(-logit))[:, None]}
    return calibrate.CalibrationSet(outputs, ages, female)


def test_every_decade_is_covered_as_it_says_and_the_age_stays():
    calibration = calibrate.fit(calibration_set(1500, 0), BINS)
    assert calibration.limits is not None
    others = calibration_set(6000, 1)
    before = AgeDistribution.of(others.outputs["age"], BINS)
    after = AgeDistribution.of(calibration.probabilities(others.outputs)["age"], BINS)
    low, high = calibration.limits.interval(after.mean, after.std)
    decades = others.ages // 10
    coverage = [((low <= others.ages) & (others.ages <= high))[decades == decade].mean() for decade in range(10)]
    plain = (before.percentile(0.05) <= others.ages) & (others.ages <= before.percentile(0.95))
    assert plain[decades == 7].mean() < 0.6
    assert min(coverage) > 0.85 and max(coverage) < 0.97
    assert np.mean(coverage) == pytest.approx(0.9, abs=0.03)
    mae = [np.abs(distribution.mean - others.ages).mean() for distribution in (after, before)]
    assert mae[0] <= mae[1] + 0.05


def test_a_temperature_is_kept_where_it_makes_no_age_worse():
    """A claim of 3 years where errors are of 6 and a bias of 5 asks for four times the variance or more."""
    within = calibrate.fit(calibration_set(1500, 0, between=(20, 80)), BINS)
    assert 3.5 < within.age_temperature < 6
    measured = within.measured["age_temperature"]
    assert measured["after"]["age_mae"] <= measured["before"]["age_mae"]
    to_the_ends = calibrate.fit(calibration_set(1500, 0), BINS)
    measured = to_the_ends.measured["age_temperature"]
    assert measured["after"]["nll"] < measured["before"]["nll"]
    assert measured["after"]["age_mae"] > measured["before"]["age_mae"]
    assert to_the_ends.age_temperature == 1, "a wider distribution is cut off at 0 and 100, and its mean moves"


def test_what_does_not_help_on_folds_is_left_out():
    honest = calibration_set(1500, 3, claimed_std=6.0)
    measured = calibrate.fit(honest, BINS).measured
    assert measured["gender_temperature"]["after"]["nll"] < measured["gender_temperature"]["before"]["nll"]
    assert calibrate.fit(calibration_set(100, 0), BINS) == calibrate.Calibration(), "too few faces to know"


def test_the_limits_of_an_age_are_not_those_of_ages_a_few_years_off():
    """Nine in ten errors are within 1.645 standard deviations, here of half the root of the claimed variance."""
    rng = np.random.default_rng(0)
    ages = rng.integers(0, 101, 5000).astype(float)
    std = np.where(np.abs(ages - 42) <= 2, 1.0, 8.0)
    limits = calibrate.interval_limits(ages, ages - rng.normal(0, std), np.full(5000, 4.0))
    assert limits.high[42] == pytest.approx(1.645 / 2, abs=0.4)
    assert limits.high[30] == pytest.approx(1.645 * 8 / 2, abs=1.5)


def test_unknown_labels_do_not_count():
    some = calibration_set(1000, 0)
    some.ages[:500], some.female[:700] = np.nan, np.nan
    measured = calibrate.fit(some, BINS).measured
    assert (measured["interval"]["faces"], measured["gender_temperature"]["faces"]) == (500, 300)
