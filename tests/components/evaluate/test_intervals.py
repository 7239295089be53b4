"""Intervals by person: what they promise, on tables whose figures are known."""

import numpy as np
import pytest

from components.evaluate import intervals
from tests.components.evaluate.predicted import table


def ends(interval: intervals.Interval | intervals.Difference) -> tuple[float, float]:
    """Both ends, which there must be."""
    assert interval.low is not None and interval.high is not None
    return interval.low, interval.high


def test_a_share_of_all_faces_is_not_certain():
    """Wilson's interval of 30 of 30 begins at 30 / (30 + 1.96²)."""
    low, high = ends(intervals.share_interval(np.ones(30, bool), np.arange(30)))
    assert low == pytest.approx(30 / (30 + 1.96**2), abs=1e-4)
    assert high == 1


def test_many_photos_of_few_persons_tell_no_more_than_the_persons():
    hits = np.array([True, True, True, False])
    few, _ = ends(intervals.share_interval(np.repeat(hits, 50), np.repeat(np.arange(4), 50)))
    many, _ = ends(intervals.share_interval(np.repeat(hits, 50), np.arange(200)))
    assert few < 0.4 < 0.68 < many
    assert intervals.share_interval(np.ones(50, bool), np.zeros(50)) == (None, None), "one person has no interval"


def test_a_95_percent_interval_holds_the_truth_about_that_often():
    """Of 200 samples of 40 persons with photos that resemble each other; 0.91 is three standard errors below 0.95."""
    rng, mean, shares = np.random.default_rng(5), 0, 0
    for sample in range(200):
        person = np.repeat(np.arange(40), 3)
        error = np.repeat(rng.normal(0, 3, 40), 3) + rng.normal(0, 1, 120)
        faces = table(age=[40.0] * 120, predicted_age=40 + error, person=person.astype(str))
        (measured,) = intervals.measure(faces, [np.arange(120)], {}, 200, sample)
        (low, high), (least, most) = ends(measured.intervals["age_bias"]), ends(measured.intervals["age_cs3"])
        mean += low < 0 < high
        shares += least < 0.657 < most  # P(|N(0, 10)| <= 3)
    assert mean / 200 > 0.9
    assert shares / 200 > 0.9


def test_a_slice_has_an_interval_of_its_own():
    rng = np.random.default_rng(2)
    faces = table(age=[40.0] * 400, predicted_age=40 + rng.normal(0, 5, 400))
    whole, part = intervals.measure(faces, [np.arange(400), np.arange(100)], {}, 500, 0)
    width = [float(np.diff(ends(measured.intervals["age_mae"]))[0]) for measured in (whole, part)]
    assert width[1] == pytest.approx(2 * width[0], rel=0.35), "a quarter of the faces, twice the width"


def test_the_difference_of_any_figure_is_drawn_in_pairs():
    rng = np.random.default_rng(4)
    gender = rng.choice(["female", "male"], 300)
    probabilities = np.clip(np.where(gender == "female", 0.6, 0.4) + rng.normal(0, 0.2, 300), 0, 1)
    ours = table(gender=gender, predicted_female=probabilities)
    theirs = table(gender=gender, predicted_female=1 - probabilities)
    difference = intervals.differences(ours, theirs, 200, 0)["gender_auc"]
    assert difference.value is not None and difference.value > ends(difference)[0] > 0
    assert intervals.differences(ours, ours, 200, 0)["gender_auc"][:3] == (0, 0, 0)


def test_differences_of_many_shares_at_once_are_those_of_one_at_a_time():
    rng = np.random.default_rng(7)
    person = rng.integers(0, 60, 300).astype(str)
    women = np.array(["female"] * 300)
    genders = [rng.choice(["female", "male"], 300, p=p) for p in ([0.8, 0.2], [0.7, 0.3])]
    ours, theirs = (table(person=person, gender=women, predicted_gender=predicted) for predicted in genders)
    rows = np.arange(100, 300)
    right = [(predicted == "female")[rows, None] for predicted in genders]
    pairs = intervals.Pairs(rows, np.hstack([right[0], right[1]]), np.hstack([right[1], right[1]]))
    persons = np.unique(person, return_inverse=True)[1]
    ((one, none),) = intervals.share_differences(persons, [pairs], 300, 0)
    (alone,) = intervals.measure(ours, [rows], {"theirs": theirs}, 300, 0)
    assert one.value == pytest.approx(alone.differences["theirs"]["gender_accuracy"].value)
    assert ends(one) == pytest.approx(ends(alone.differences["theirs"]["gender_accuracy"]), abs=0.015)
    assert none[:3] == (0, 0, 0)
    assert one.faces == 200


def test_shares_of_nobody_have_no_difference():
    nobody = intervals.Pairs(np.arange(0), np.empty((0, 2), bool), np.empty((0, 2), bool))
    assert intervals.share_differences(np.arange(9), [nobody], 100, 0) == [
        [intervals.Difference(None, None, None, 0, 0)] * 2
    ]
    assert intervals.share_differences(np.arange(9), [], 100, 0) == []
