"""Intervals by person: what they promise, on tables whose figures are known."""

import numpy as np
import pytest
from scipy.stats import binom

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
    ((one, none),) = intervals.share_differences(persons, [pairs])
    (alone,) = intervals.measure(ours, [rows], {"theirs": theirs}, 100, 0)
    assert one == alone.differences["theirs"]["gender_accuracy"]
    low, high = ends(one)
    assert one.value is not None and low < one.value < high
    assert (none.value, none.faces) == (0, 200)


def test_the_interval_of_a_difference_of_shares_is_tangos():
    """Published: 1, 1, 7 and 12 of 21 children (Fagerland, Lydersen and Laake, Statistics in Medicine 2014)."""
    low, high = intervals.tango(np.array([1 / 21]), np.array([7 / 21]), np.array([21.0]))
    assert (low[0], high[0]) == (pytest.approx(-0.517, abs=5e-4), pytest.approx(-0.026, abs=5e-4))


def test_two_models_that_are_right_about_the_same_faces_may_differ_on_others():
    """Where no face tells them apart the interval ends at z² / (n + z²), as that of a share of nothing."""
    alike = np.ones((50, 1), bool)
    ((difference,),) = intervals.share_differences(np.arange(50), [intervals.Pairs(np.arange(50), alike, alike)])
    end = pytest.approx(1.96**2 / (50 + 1.96**2), abs=1e-4)
    assert (difference.value, -ends(difference)[0], ends(difference)[1]) == (0, end, end)
    persons = np.arange(500) // 50
    many = intervals.Pairs(np.arange(500), np.ones((500, 1), bool), np.ones((500, 1), bool))
    ((of_few,),) = intervals.share_differences(persons, [many])
    assert ends(of_few)[1] > ends(difference)[1], "500 photos of ten persons tell less than 50 of fifty"


@pytest.mark.parametrize("faces", [50, 100, 200, 500])
def test_a_model_that_is_worse_by_the_margin_seldom_passes_for_one_that_is_not(faces):
    """The chance of a lower end above -0.02 where the truth is that every fiftieth face is lost: 2.5 % were it exact."""
    lost = np.arange(faces + 1)
    low, _ = intervals.tango(np.zeros(faces + 1), lost / faces, np.full(faces + 1, float(faces)))
    assert binom.pmf(lost, faces, 0.02)[low >= -0.02].sum() < 0.04


def test_shares_of_nobody_have_no_difference():
    nobody = intervals.Pairs(np.arange(0), np.empty((0, 2), bool), np.empty((0, 2), bool))
    assert intervals.share_differences(np.arange(9), [nobody]) == [[intervals.Difference(None, None, None, 0, 0)] * 2]
    assert intervals.share_differences(np.arange(9), []) == []


def test_shares_of_one_person_have_a_difference_and_no_interval():
    one = intervals.Pairs(np.arange(2), np.array([[True], [True]]), np.array([[True], [False]]))
    assert intervals.share_differences(np.zeros(2, int), [one]) == [[intervals.Difference(0.5, None, None, 2, 1)]]
