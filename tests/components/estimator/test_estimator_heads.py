"""Heads: age classes, probabilities, and what the figures of a prediction are made of."""

import math

import numpy as np
import pytest
import tensorflow as tf

from components.estimator import heads, saved
from components.estimator.settings import AgeSettings, EstimatorSettings


def test_every_year_is_a_class_by_default():
    age_bins = heads.age_bins(AgeSettings())
    np.testing.assert_array_equal(age_bins.centres, np.arange(101))
    assert age_bins.edges[0] == -0.5
    assert age_bins.edges[-1] == 100.5


def test_a_scale_can_begin_and_end_elsewhere():
    assert heads.age_bins(AgeSettings(lowest=1)).centres[[0, -1]].tolist() == [1, 100]


def test_classes_between_edges_stand_for_their_middle_or_the_mean_of_their_examples():
    settings = AgeSettings(edges=(30, 45, 60), loss="cross_entropy")
    np.testing.assert_allclose(heads.age_bins(settings).centres, [14.5, 37, 52, 80])
    np.testing.assert_allclose(heads.age_bins(settings, {20: 1, 26: 3, 70: 1}).centres, [24.5, 37, 52, 70])


def test_an_age_is_in_the_class_that_begins_at_or_below_it():
    settings = AgeSettings(edges=(30, 45, 60), loss="cross_entropy")
    ages = tf.constant([0.0, 29, 30, 44, 45, 60, 100, math.nan])
    assert heads.class_of(ages, settings).numpy().tolist() == [0, 0, 1, 1, 2, 3, 3, -1]
    assert heads.class_of(tf.constant([0.0, 1, 2, 110]), AgeSettings(lowest=1)).numpy().tolist() == [0, 0, 1, 99]


@pytest.mark.parametrize("loss", ["coral", "or_cnn"])
def test_ordinals_become_a_distribution(loss):
    settings = EstimatorSettings(age=AgeSettings(head="ordinal", loss=loss, edges=(30, 50)), gender={"head": "none"})
    older = tf.constant([[math.log(9.0), 0.0], [5.0, -5.0], [-9.0, 9.0]])  # P(older) = 0.9, 0.5; ...; a contradiction
    shares = heads.probabilities({"age": older}, settings)["age"].numpy()
    np.testing.assert_allclose(shares[0], [0.1, 0.4, 0.5], atol=1e-6)
    assert shares[1].argmax() == 1
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)


def test_coral_shares_one_rank_between_falling_thresholds():
    layer = heads.Thresholds(4)
    logits = layer(tf.constant([[0.0], [3.0]])).numpy()
    assert (np.diff(logits, axis=1) < 0).all()
    np.testing.assert_allclose(logits[1] - logits[0], 3)


def test_the_second_of_two_gender_logits_is_the_woman():
    settings = EstimatorSettings(gender={"head": "softmax"})
    outputs = {"age": tf.zeros([1, 101]), "gender": tf.constant([[0.0, math.log(3.0)]])}
    assert heads.probabilities(outputs, settings)["female"].numpy()[0, 0] == pytest.approx(0.75)


def test_a_regression_has_the_interval_of_its_errors():
    age_bins = heads.AgeBins(np.empty(0), np.empty(0), std=5.0)
    predictions = saved.interpret({"age": np.array([[40.0]])}, age_bins)
    assert (predictions.age[0], predictions.age_std[0]) == (40, 5)
    assert predictions.age_low[0] == pytest.approx(40 - 1.644854 * 5)
    assert predictions.age_high[0] == pytest.approx(40 + 1.644854 * 5)


def test_wide_classes_make_a_wide_interval():
    settings = AgeSettings(edges=(30,), loss="cross_entropy")
    predictions = saved.interpret({"age": np.array([[1.0, 0.0]])}, heads.age_bins(settings))
    assert predictions.age[0] == 14.5
    assert predictions.age_low[0] == pytest.approx(-0.5 + 0.05 * 30)
    assert predictions.age_high[0] == pytest.approx(-0.5 + 0.95 * 30)


def test_the_age_class_is_the_likeliest_one_even_where_the_expected_age_lies_in_another():
    settings = AgeSettings(edges=(30, 60), loss="cross_entropy")
    shares = np.array([[0.45, 0.05, 0.5], [0.2, 0.7, 0.1], [1.0, 0.0, 0.0], [np.nan] * 3])
    predictions = saved.interpret({"age": shares}, heads.age_bins(settings))
    assert predictions.age_class.tolist() == [2, 1, 0, -1]
    assert 30 < predictions.age[0] < 60
    assert predictions.age_class.dtype == np.int32


def test_of_ordinals_too_the_likeliest_class_is_told():
    settings = EstimatorSettings(age=AgeSettings(head="ordinal", loss="coral", edges=(30, 60)), gender={"head": "none"})
    older = tf.constant([[0.2, 0.1], [2.0, -2.0], [-1.0, -2.0]])  # the first one is young or old, in the mean neither
    outputs = {name: value.numpy() for name, value in heads.probabilities({"age": older}, settings).items()}
    assert saved.interpret(outputs, heads.age_bins(settings.age)).age_class.tolist() == [2, 1, 0]


def test_a_regression_has_no_age_class():
    predictions = saved.interpret(
        {"age": np.array([[40.0], [7.0]])}, heads.age_bins(AgeSettings(head="regression", loss="squared_error"))
    )
    assert predictions.age_class.tolist() == [-1, -1]
