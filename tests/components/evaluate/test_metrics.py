"""Figures of merit against what their definitions say, on bare tables."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid

from components.estimator.classes import AgeClasses
from components.evaluate import intervals, metrics, slices
from components.evaluate.baseline import Baseline
from components.evaluate.intervals import Difference
from components.evaluate.predictions import decade
from schemas.shard import Shard
from tests.components.evaluate.predicted import table


def whole(faces: pd.DataFrame, resamples: int = 200) -> intervals.Measured:
    """All figures of all faces."""
    (measured,) = intervals.measure(faces, [np.arange(len(faces))], {}, resamples, 0)
    return measured


def test_an_error_of_exactly_five_years_is_within_five_years():
    figures = metrics.figures(table(age=[40.0, 40, 40, 40], predicted_age=[45.0, 35, 45.1, 34.9]))
    assert figures["age_cs5"] == 0.5


def test_the_interval_holds_its_ends():
    figures = metrics.figures(
        table(
            age=[40.0, 40, 40],
            predicted_age=[40.0, 40, 40],
            predicted_age_low=[40.0, 30, 41],
            predicted_age_high=[50.0, 40, 50],
        )
    )
    assert figures["age_interval_coverage"] == pytest.approx(2 / 3)


def test_the_area_under_the_curve_is_the_chance_of_the_right_order():
    rng = np.random.default_rng(3)
    gender = rng.choice(["female", "male"], 80)
    scores = np.round(rng.random(80) * 0.5 + (gender == "female") * 0.3, 1)  # with many ties
    faces = table(gender=gender, predicted_female=scores)
    women, men = scores[gender == "female"], scores[gender == "male"]
    pairs = [float(woman > man) + 0.5 * (woman == man) for woman in women for man in men]
    assert metrics.figures(faces)["gender_auc"] == pytest.approx(np.mean(pairs))
    false, true = metrics.roc(faces)
    assert trapezoid(true, false) == pytest.approx(np.mean(pairs))


def test_the_median_error_of_an_even_number_of_faces_is_between_the_two_in_the_middle():
    figures = metrics.figures(table(age=[40.0] * 4, predicted_age=[41.0, 37.0, 45.0, 60.0]))
    assert figures["age_median_error"] == 4


def test_the_shares_within_three_five_and_ten_years_and_the_width_of_the_interval():
    figures = metrics.figures(
        table(
            age=[40.0] * 4,
            predicted_age=[43.0, 36, 50, 51],
            predicted_age_low=[30.0] * 4,
            predicted_age_high=[50.0, 50, 60, 60],
        )
    )
    assert [figures[f"age_cs{years}"] for years in (3, 5, 10)] == [0.25, 0.5, 0.75]
    assert figures["age_interval_width"] == 25


def test_the_likelihood_is_that_of_the_true_age():
    assert metrics.figures(table(age_log_probability=[-2.0, -4.0]))["age_nll"] == 3


def test_balanced_accuracy_does_not_gain_by_saying_what_most_are():
    faces = table(gender=["male"] * 9 + ["female"], predicted_gender=["male"] * 10)
    figures = metrics.figures(faces)
    assert (figures["gender_accuracy"], figures["gender_balanced_accuracy"]) == (0.9, 0.5)


def test_the_calibration_error_is_what_confidence_promises_too_much():
    faces = table(gender=["female", "male"] * 5, predicted_gender=["female"] * 10, predicted_female=[0.93] * 10)
    assert metrics.figures(faces)["gender_ece"] == pytest.approx(0.43)


def test_macro_f1_is_scikit_learns():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    true, predicted = rng.choice(["A", "B", "C"], 60, p=[0.7, 0.2, 0.1]), rng.choice(["A", "B", "D"], 60)
    figures = metrics.figures(table(age_class=true, predicted_age_class=predicted))
    assert figures["age_class_macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))


def test_the_baseline_has_every_figure_that_the_training_labels_allow():
    faces = table(age=[20.0, 40], gender=["male", "female"])
    shard = Shard("a", 4, 0, ages={20: 2, 30: 1, 40: 1}, genders={"male": 3, "female": 1})
    figures = metrics.figures(Baseline.of([shard], None).predictions(faces))
    assert figures["age_nll"] == pytest.approx(-(np.log(3 / 105) + np.log(2 / 105)) / 2), "each year counts one more"
    assert (figures["gender_auc"], figures["age_interval_coverage"]) == (0.5, 0.5)


def test_figures_that_nothing_is_known_of_are_none():
    faces = table(age=[np.nan], predicted_age=[30.0])
    assert set(metrics.figures(faces).values()) == {None}
    assert set(whole(faces).intervals.values()) == {(None, None)}
    assert slices.slices(faces) == []


def test_one_person_has_no_interval():
    faces = table(age=[30.0, 40], predicted_age=[31.0, 44], person=["one", "one"])
    assert whole(faces).intervals["age_mae"] == (None, None)


def test_the_interval_of_a_mean_is_about_two_standard_errors_to_either_side():
    rng = np.random.default_rng(1)
    error = rng.exponential(5, 2000)
    interval = whole(table(age=[30.0] * 2000, predicted_age=30 + error), 1000).intervals["age_mae"]
    assert interval.low is not None
    assert interval.high is not None
    width = 2 * 1.96 * error.std() / np.sqrt(2000)
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)


def test_a_pair_of_models_is_compared_face_by_face():
    """Errors of 0 to 99 years, and the same less one: the figures overlap, the difference is certain."""
    errors = np.arange(100.0)
    ours = table(age=[0.0] * 100, predicted_age=errors)
    theirs = table(age=[0.0] * 100, predicted_age=errors + 1)
    differences = intervals.differences(ours, theirs, 200, 0)
    assert differences["age_mae"] == Difference(-1, -1, -1, 100, 100)
    assert differences["gender_accuracy"] == Difference(None, None, None, 0, 0)


def test_faces_that_only_one_of_two_models_tells_are_no_pair():
    ours = table(age=[20.0, 30, 40], predicted_age=[21.0, 32, np.nan])
    theirs = table(age=[20.0, 30, 40], predicted_age=[np.nan, 31, 40])
    difference = intervals.differences(ours, theirs, 200, 0)["age_mae"]
    assert (difference.value, difference.faces, difference.persons) == (1, 1, 1)
    assert difference.low is None, "one person has no interval"


def test_the_baseline_is_the_median_of_the_training_split():
    shards = [
        Shard("a", 3, 0, ages={10: 1, 40: 2}, genders={"male": 3}),
        Shard("b", 2, 0, ages={50: 2}, genders={"female": 2}),
    ]
    assert Baseline.of(shards, None) == Baseline(40.0, None, "male")
    assert Baseline.of([], None) == Baseline(None, None, None)


@pytest.mark.parametrize(
    ("age", "expected"), [(0, "0-9"), (9.9, "0-9"), (10, "10-19"), (89, "80-89"), (100, "90-100"), (None, None)]
)
def test_decades(age, expected):
    assert decade(age) == expected


def test_what_could_have_been_said_in_hindsight_is_the_best_constant_of_the_test_faces():
    faces = table(age=[10.0, 20, 60], gender=["female", "female", "male"], age_class=["OLD", "OLD", "YOUNG"])
    assert Baseline.in_hindsight(faces, None) == Baseline(20.0, None, "female")
    classes = AgeClasses(("YOUNG", "OLD"), (30,))
    best = Baseline.in_hindsight(faces, classes)
    assert best == Baseline(20.0, "OLD", "female")
    figures = metrics.figures(best.predictions(faces))
    assert {name: figures[name] for name in metrics.LOWER_IS_BETTER} == {
        "age_mae": pytest.approx(50 / 3),
        "age_class_accuracy": pytest.approx(2 / 3),
        "gender_accuracy": pytest.approx(2 / 3),
    }
    assert Baseline.in_hindsight(table(path=["a"]), classes) == Baseline(None, None, None)
