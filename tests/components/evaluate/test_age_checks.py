"""Age checks on tables that can be counted by hand."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.evaluate import age_checks
from components.evaluate.age_checks import Sides
from components.evaluate.baseline import Baseline
from components.evaluate.settings import AgeCheckSettings
from tests.components.evaluate.predicted import table

CHECK_SETTINGS = AgeCheckSettings(
    thresholds=(18,), lowest_challenge=18, highest_challenge=25, probabilities=(0.5, 0.9), false_acceptance=(0.5, 0.05)
)

FACES = table(
    age=[5.0, 14, 15, 16, 17, 18, 30, 40],
    gender=["male", "male", "female", "female", "female", "female", "male", "male"],
    predicted_age=[6.0, 15, 16, 19, 24, 21, 24, 45],
    predicted_at_least_18=[0.0, 0.1, 0.3, 0.6, 0.95, 0.7, 0.95, 1.0],
)


TRAINED_ON = Baseline(20.0, None, "male", {10: 1, 20: 2, 70: 1}, 0.5)


def sides(faces: pd.DataFrame = FACES, champion: pd.DataFrame | None = None) -> Sides:
    return Sides(faces, TRAINED_ON.predictions(faces, CHECK_SETTINGS.thresholds), champion)


def checked(both_sides: Sides) -> list[dict]:
    return age_checks.table(both_sides, CHECK_SETTINGS)


def row(rule: str, at: float, group: str = "all", both_sides: Sides | None = None) -> dict:
    rows = checked(both_sides or sides())
    (matching_row,) = (row for row in rows if (row["rule"], row["at"], row["group"]) == (rule, at, group))
    return matching_row


def test_a_challenge_age_lets_through_who_looks_so_old():
    check = row("challenge", 18)
    assert (check["minors"], check["near_minors"], check["adults"]) == (5, 4, 3)
    assert (check["minors_passed"], check["near_minors_passed"], check["adults_refused"]) == (0.4, 0.5, 0)
    check = row("challenge", 25)
    assert (check["minors_passed"], check["adults_refused"]) == (0, pytest.approx(2 / 3))
    assert check["minors_passed_low"] == 0 < check["minors_passed_high"], "five who did not pass prove little"


def test_by_probability_and_by_gender():
    assert row("probability", 0.9)["minors_passed"] == 0.2
    assert row("probability", 0.9, "female")["minors_passed"] == pytest.approx(1 / 3)
    assert row("probability", 0.9, "male")["adults_refused"] == 0


def test_the_challenge_age_for_a_wanted_false_acceptance_is_read_off():
    checks = age_checks.read_off(checked(sides()), sides(), CHECK_SETTINGS)
    operating_points = {(point["rule"], point["group"], point["false_acceptance"]): point for point in checks}
    assert operating_points["challenge", "all", 0.5]["at_estimate"] == 18
    assert operating_points["challenge", "all", 0.05]["at_estimate"] == 25
    assert operating_points["challenge", "all", 0.05]["at"] is None, "four faces do not show that so few pass"
    assert operating_points["challenge", "all", 0.05]["at_estimate_adults_refused"] == pytest.approx(2 / 3)
    low, high = (
        operating_points["challenge", "all", 0.05][f"at_estimate_adults_refused_{end}"] for end in ("low", "high")
    )
    assert 0 < low < 2 / 3 < high < 1
    assert "champion_at" not in operating_points["challenge", "all", 0.05]


def test_the_baseline_lets_everybody_through_or_nobody():
    """It says 20 years of everybody, and that 18 or more is as likely as in the training split, each year counting once more."""
    below, above = row("challenge", 20), row("challenge", 21)
    assert (below["baseline_minors_passed"], below["baseline_adults_refused"]) == (1, 0)
    assert (above["baseline_minors_passed"], above["baseline_adults_refused"]) == (0, 1)
    assert sides().baseline["predicted_at_least_18"].iloc[0] == pytest.approx((3 + 83) / (4 + 101))


def test_a_baseline_without_ages_checks_nobody():
    both_sides = Sides(FACES, Baseline(None, None, "male").predictions(FACES, CHECK_SETTINGS.thresholds))
    assert row("challenge", 20, both_sides=both_sides)["baseline_adults_refused"] is None
    assert row("probability", 0.5, both_sides=both_sides)["baseline_minors_passed"] is None


CHAMPION = FACES.assign(
    predicted_age=[6.0, 15, 20, 22, 26, 22, 19, np.nan],
    predicted_at_least_18=[0.0, 0.1, 0.6, 0.7, 0.99, 0.8, 0.5, np.nan],
)


def test_the_champion_at_the_same_setting_on_the_faces_that_both_tell():
    check = row("challenge", 20, both_sides=sides(champion=CHAMPION))
    assert (check["near_minors_passed"], check["champion_near_minors_passed"]) == (0.25, 0.75)
    assert check["near_minors_passed_difference"] == -0.5
    assert (check["adults_refused"], check["champion_adults_refused"]) == (0, 0.5), "of the one of 40 it tells nothing"
    assert check["adults_refused_difference"] == -0.5, "nor does he count in the difference"
    assert -1 < check["near_minors_passed_difference_low"] < -0.5 < check["near_minors_passed_difference_high"] < 0.5
    assert row("challenge", 20).keys().isdisjoint({"champion_minors_passed", "minors_passed_difference"})


def test_the_difference_is_told_face_by_face():
    """Both let the same half of the minors through: there is little difference to doubt, though each share is in doubt."""
    faces = table(age=[16.0] * 400, predicted_age=[17.0, 19] * 200, predicted_at_least_18=[0.2, 0.7] * 200)
    check = row("challenge", 18, both_sides=sides(faces, faces))
    low, high = (check[f"near_minors_passed_difference{end}"] for end in ("_low", "_high"))
    assert -0.01 < low < check["near_minors_passed_difference"] == 0 < high < 0.01
    assert check["near_minors_passed_low"] < 0.46 < 0.54 < check["near_minors_passed_high"]


def test_a_threshold_that_no_check_is_tried_for_has_no_row():
    above = CHECK_SETTINGS.model_copy(update={"thresholds": (18, 30, 18), "probabilities": ()})
    faces = FACES.assign(predicted_at_least_30=0.5)
    both_sides = Sides(faces, TRAINED_ON.predictions(faces, above.thresholds))
    rows = age_checks.table(both_sides, above)
    assert {row["threshold"] for row in rows} == {18}, "no challenge age up to 25 is one of 30"
    assert len(rows) == 3 * len(range(18, 26)), "a threshold that is named twice is tried once"
    assert {point["threshold"] for point in age_checks.read_off(rows, both_sides, above)} == {18}


def test_each_at_its_own_setting_for_the_same_false_acceptance():
    rng = np.random.default_rng(3)
    age = np.r_[rng.integers(14, 18, 400), rng.integers(18, 60, 400)].astype(float)
    near, far = age + rng.normal(0, 1, 800), age + rng.normal(0, 3, 800)
    faces = table(age=age, predicted_age=near, predicted_at_least_18=near / 100)
    champion = faces.assign(predicted_age=far, predicted_at_least_18=far / 100)
    both_sides = sides(faces, champion)
    operating_points = age_checks.read_off(checked(both_sides), both_sides, CHECK_SETTINGS)
    (point,) = (
        point
        for point in operating_points
        if (point["rule"], point["group"], point["false_acceptance"]) == ("challenge", "all", 0.05)
    )
    assert 18 < point["at"] < point["champion_at"], "who is less sure must ask for more"
    adults = age >= 18
    gap = (near < point["at"])[adults].mean() - (far < point["champion_at"])[adults].mean()
    assert point["at_adults_refused_difference"] == pytest.approx(gap)
    assert point["at_adults_refused_difference_low"] < gap < point["at_adults_refused_difference_high"] < 0


def test_no_known_age_is_no_check(tmp_path):
    both_sides = sides(table(path=["a"], predicted_at_least_18=[np.nan]))
    rows = checked(both_sides)
    assert rows == age_checks.read_off(rows, both_sides, CHECK_SETTINGS) == []
    age_checks.write(tmp_path / "empty.parquet", rows)
    assert pq.read_schema(tmp_path / "empty.parquet").names == age_checks.SCHEMA.names
