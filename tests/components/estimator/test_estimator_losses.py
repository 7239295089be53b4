"""Losses: by hand on small cases; a missing label counts nowhere."""

import math

import numpy as np
import pytest
import tensorflow as tf

from components.estimator import heads, losses
from components.estimator.settings import AGE_LOSSES, AgeSettings, EstimatorSettings

NAN = math.nan
YEARS = AgeSettings()
SCALE = heads.age_bins(YEARS)


def known(*ages: float) -> dict[str, tf.Tensor]:
    age = tf.constant(ages, tf.float32)
    return {"age": age, "age_class": heads.class_of(age, YEARS)}


def certain(age: int, strength: float = 60.0) -> tf.Tensor:
    return strength * tf.one_hot([age], 101)


def test_cross_entropy_of_an_even_distribution_is_the_log_of_the_classes():
    assert float(losses.cross_entropy(known(30), tf.zeros([1, 101]), SCALE, YEARS)[0]) == pytest.approx(math.log(101))
    assert float(losses.cross_entropy(known(30), certain(30), SCALE, YEARS)[0]) == pytest.approx(0, abs=1e-6)


def test_dldl_is_least_at_the_gaussian_itself():
    gaussian = -tf.square(SCALE.centres - 30.0)[None] / (2 * YEARS.sigma**2)
    assert float(losses.dldl(known(30), gaussian, SCALE, YEARS)[0]) == pytest.approx(0, abs=1e-5)
    assert float(losses.dldl(known(30), certain(30), SCALE, YEARS)[0]) > 1


def test_dldl_v2_adds_the_years_by_which_the_mean_is_off():
    gaussian = -tf.square(SCALE.centres - 30.0)[None] / (2 * YEARS.sigma**2)
    apart = losses.dldl_v2(known(37), gaussian, SCALE, YEARS) - losses.dldl(known(37), gaussian, SCALE, YEARS)
    assert float(apart[0]) == pytest.approx(7, abs=1e-3)


def test_mean_variance_weighs_the_squared_mean_and_the_variance():
    two = tf.math.log(tf.reduce_sum(tf.one_hot([20, 40], 101), axis=0) / 2 + 1e-30)[None]  # half at 20, half at 40
    loss = losses.mean_variance(known(20), two, SCALE, YEARS)[0]
    assert float(loss) == pytest.approx(math.log(2) + 0.2 * 10**2 / 2 + 0.05 * 10**2, rel=1e-3)


def test_errors_of_a_regression_are_in_years():
    settings = AgeSettings(head="regression", loss="squared_error")
    age_bins = heads.age_bins(settings)
    assert float(losses.squared_error(known(30), tf.constant([[33.0]]), age_bins, settings)[0]) == pytest.approx(9)
    assert float(losses.absolute_error(known(30), tf.constant([[33.0]]), age_bins, settings)[0]) == pytest.approx(3)


def test_squared_error_of_a_distribution_is_that_of_its_mean():
    assert float(losses.squared_error(known(30), certain(33), SCALE, YEARS)[0]) == pytest.approx(9, rel=1e-4)


def test_ordinals_are_told_for_every_class_whether_the_age_is_above_it():
    settings = AgeSettings(head="ordinal", loss="or_cnn", edges=(30, 50))
    label = {"age_class": tf.constant([1])}
    right = losses.ordinal(label, tf.constant([[20.0, -20.0]]), heads.age_bins(settings), settings)[0]
    wrong = losses.ordinal(label, tf.constant([[20.0, 20.0]]), heads.age_bins(settings), settings)[0]
    assert float(right) == pytest.approx(0, abs=1e-6)
    assert float(wrong) == pytest.approx(20, rel=1e-4)


@pytest.mark.parametrize("columns", [1, 2])
def test_gender_is_a_cross_entropy_of_one_logit_or_two(columns):
    logits = tf.constant([[math.log(3.0)]]) if columns == 1 else tf.constant([[0.0, math.log(3.0)]])
    loss = losses.gender_cross_entropy(tf.constant([1.0]), logits)
    assert float(loss[0]) == pytest.approx(-math.log(0.75), rel=1e-5)


@pytest.mark.parametrize(
    ("head", "loss"), [(head, loss) for head, losses_of_head in AGE_LOSSES.items() for loss in losses_of_head]
)
def test_an_example_without_an_age_teaches_gender_only(head, loss):
    settings = EstimatorSettings(age=AgeSettings(head=head, loss=loss))
    objective = losses.objective(settings, heads.age_bins(settings.age))
    width = {"distribution": 101, "ordinal": 100, "regression": 1}[head]
    outputs = {"age": tf.Variable(tf.random.normal([2, width])), "gender": tf.Variable([[0.3], [0.2]])}
    labels = {
        "age": tf.constant([40.0, NAN]),
        "age_class": tf.constant([40, -1]),
        "female": tf.constant([NAN, 1.0]),
    }
    with tf.GradientTape() as tape:
        total = tf.add_n(list(objective(labels, outputs).values()))
    age, gender = (gradient.numpy() for gradient in tape.gradient(total, [outputs["age"], outputs["gender"]]))
    assert np.isfinite(age).all()
    assert np.abs(age[0]).max() > 0
    assert np.abs(age[1]).max() == 0
    assert gender[0] == 0
    assert gender[1] != 0


def test_a_batch_without_any_label_of_a_task_costs_nothing_for_it():
    settings = EstimatorSettings()
    labels = {"age": tf.constant([NAN]), "age_class": tf.constant([-1]), "female": tf.constant([1.0])}
    outputs = {"age": tf.zeros([1, 101]), "gender": tf.zeros([1, 1])}
    assert float(losses.objective(settings, SCALE)(labels, outputs)["age"]) == 0


def test_an_example_with_a_class_and_no_age_counts_for_losses_by_class():
    settings = EstimatorSettings(age=AgeSettings(loss="cross_entropy", edges=(30,), classes=("YOUNG", "OLD")))
    labels = {"age": tf.constant([NAN]), "age_class": tf.constant([1]), "female": tf.constant([NAN])}
    outputs = {"age": tf.zeros([1, 2]), "gender": tf.zeros([1, 1])}
    by_task = losses.objective(settings, heads.age_bins(settings.age))(labels, outputs)
    assert float(by_task["age"]) == pytest.approx(math.log(2))


def test_weights_scale_the_tasks():
    labels = known(30) | {"female": tf.constant([1.0])}
    outputs = {"age": tf.zeros([1, 101]), "gender": tf.zeros([1, 1])}
    once = losses.objective(EstimatorSettings(gender={"weight": 1}), SCALE)(labels, outputs)
    often = losses.objective(EstimatorSettings(gender={"weight": 500}), SCALE)(labels, outputs)
    assert float(often["gender"]) == pytest.approx(500 * float(once["gender"]))
    assert float(often["age"]) == pytest.approx(float(once["age"]))
