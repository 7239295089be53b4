"""Figures of merit against what their definitions say, on bare tables."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid

from components.estimator.classes import AgeClasses
from components.evaluate import metrics
from components.evaluate.predictions import SCHEMA, decade
from schemas.shard import Shard


def table(**columns) -> pd.DataFrame:
    """Predictions with these columns; the others are unknown."""
    rows = len(next(iter(columns.values())))
    unknown = {name: [None] * rows for name in SCHEMA.names if SCHEMA.field(name).type == "string"}
    numbers = {name: [np.nan] * rows for name in SCHEMA.names if name not in unknown}
    return pd.DataFrame({**unknown, **numbers, "person": [f"p{row}" for row in range(rows)], **columns})


def test_an_error_of_exactly_five_years_is_within_five_years():
    found = metrics.figures(table(age=[40.0, 40, 40, 40], predicted_age=[45.0, 35, 45.1, 34.9]))
    assert found["age_cs5"] == 0.5


def test_the_interval_holds_its_ends():
    found = metrics.figures(
        table(
            age=[40.0, 40, 40],
            predicted_age=[40.0, 40, 40],
            predicted_age_low=[40.0, 30, 41],
            predicted_age_high=[50.0, 40, 50],
        )
    )
    assert found["age_interval_coverage"] == pytest.approx(2 / 3)


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


def test_figures_that_nothing_is_known_of_are_none():
    faces = table(age=[np.nan], predicted_age=[30.0])
    assert set(metrics.figures(faces).values()) == {None}
    assert set(metrics.intervals(faces, 100, 0).values()) == {None}
    assert metrics.slices(faces) == []


def test_one_person_has_no_interval():
    faces = table(age=[30.0, 40], predicted_age=[31.0, 44], person=["one", "one"])
    assert metrics.intervals(faces, 100, 0)["age_mae_low"] is None


def test_the_interval_of_a_mean_is_about_two_standard_errors_to_either_side():
    rng = np.random.default_rng(1)
    error = rng.exponential(5, 2000)
    found = metrics.intervals(table(age=[30.0] * 2000, predicted_age=30 + error), 1000, 0)
    assert found["age_mae_low"] is not None
    assert found["age_mae_high"] is not None
    width = 2 * 1.96 * error.std() / np.sqrt(2000)
    assert found["age_mae_high"] - found["age_mae_low"] == pytest.approx(width, rel=0.1)


def test_a_pair_of_models_is_compared_face_by_face():
    """Errors of 0 to 99 years, and the same less one: the figures overlap, the difference is certain."""
    errors = np.arange(100.0)
    ours = table(age=[0.0] * 100, predicted_age=errors)
    theirs = table(age=[0.0] * 100, predicted_age=errors + 1)
    found = metrics.differences(metrics.scores(ours), metrics.scores(theirs), ours["person"], 200, 0)
    assert found["age_mae"] == metrics.Difference(-1, -1, -1, 100, 100)
    assert found["gender_accuracy"] == metrics.Difference(None, None, None, 0, 0)


def test_faces_that_only_one_of_two_models_tells_are_no_pair():
    ours = table(age=[20.0, 30, 40], predicted_age=[21.0, 32, np.nan])
    theirs = table(age=[20.0, 30, 40], predicted_age=[np.nan, 31, 40])
    found = metrics.differences(metrics.scores(ours), metrics.scores(theirs), ours["person"], 200, 0)["age_mae"]
    assert (found.value, found.faces, found.persons) == (1, 1, 1)
    assert found.low is None, "one person has no interval"


def test_the_baseline_is_the_median_of_the_training_split():
    shards = [
        Shard("a", 3, 0, ages={10: 1, 40: 2}, genders={"male": 3}),
        Shard("b", 2, 0, ages={50: 2}, genders={"female": 2}),
    ]
    assert metrics.Baseline.of(shards, None) == metrics.Baseline(40.0, None, "male")
    assert metrics.Baseline.of([], None) == metrics.Baseline(None, None, None)


@pytest.mark.parametrize(
    ("age", "expected"), [(0, "0-9"), (9.9, "0-9"), (10, "10-19"), (89, "80-89"), (100, "90-100"), (None, None)]
)
def test_decades(age, expected):
    assert decade(age) == expected


def test_what_could_have_been_said_in_hindsight_is_the_best_constant_of_the_test_faces():
    faces = table(age=[10.0, 20, 60], gender=["female", "female", "male"], age_class=["OLD", "OLD", "YOUNG"])
    assert metrics.Baseline.in_hindsight(faces, None) == metrics.Baseline(20.0, None, "female")
    classes = AgeClasses(("YOUNG", "OLD"), (30,))
    best = metrics.Baseline.in_hindsight(faces, classes)
    assert best == metrics.Baseline(20.0, "OLD", "female")
    assert {name: values.mean() for name, values in best.scores(faces).items()} == {
        "age_mae": pytest.approx(50 / 3),
        "age_class_accuracy": pytest.approx(2 / 3),
        "gender_accuracy": pytest.approx(2 / 3),
    }
    assert metrics.Baseline.in_hindsight(table(path=["a"]), classes) == metrics.Baseline(None, None, None)
