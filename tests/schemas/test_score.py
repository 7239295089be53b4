"""Scores: what the columns of a prediction say."""

import numpy as np

from components.estimator.saved import Predictions
from schemas.score import arrow_schema, prediction_columns


def predictions(age_class: list[int], female: list[float]) -> Predictions:
    years = np.full(len(age_class), 40, np.float32)
    return Predictions(years, years, years, years, np.array(age_class, np.int32), np.array(female, np.float32))


def test_the_columns_of_a_prediction_are_columns_of_a_score():
    assert set(prediction_columns(predictions([], []))) < set(arrow_schema().names)


def test_the_likelier_gender_is_told_with_its_own_probability():
    columns = prediction_columns(predictions([0, 0, 0], [0.75, 0.25, float("nan")]))
    assert list(columns["gender"]) == ["female", "male", None]
    np.testing.assert_equal(columns["gender_probability"], np.array([0.75, 0.75, float("nan")], np.float32))


def test_the_likeliest_age_class_is_told_by_name_and_a_year_is_none():
    predicted = predictions([2, 0, -1], [0.5] * 3)
    assert list(prediction_columns(predicted, ("YOUNG", "MIDDLE", "OLD"))["age_class"]) == ["OLD", "YOUNG", None]
    assert list(prediction_columns(predicted)["age_class"]) == [None] * 3
