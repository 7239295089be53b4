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

ASKED = AgeCheckSettings(
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
    return Sides(faces, TRAINED_ON.predictions(faces, ASKED.thresholds), champion)


def checked(held: Sides) -> list[dict]:
    return age_checks.table(held, ASKED, 200, 0)


def row(rule: str, at: float, group: str = "all", held: Sides | None = None) -> dict:
    rows = checked(held or sides())
    (found,) = (row for row in rows if (row["rule"], row["at"], row["group"]) == (rule, at, group))
    return found


def test_a_challenge_age_lets_through_who_looks_so_old():
    found = row("challenge", 18)
    assert (found["minors"], found["near_minors"], found["adults"]) == (5, 4, 3)
    assert (found["minors_passed"], found["near_minors_passed"], found["adults_refused"]) == (0.4, 0.5, 0)
    found = row("challenge", 25)
    assert (found["minors_passed"], found["adults_refused"]) == (0, pytest.approx(2 / 3))
    assert found["minors_passed_low"] == 0 < found["minors_passed_high"], "five who did not pass prove little"


def test_by_probability_and_by_gender():
    assert row("probability", 0.9)["minors_passed"] == 0.2
    assert row("probability", 0.9, "female")["minors_passed"] == pytest.approx(1 / 3)
    assert row("probability", 0.9, "male")["adults_refused"] == 0


def test_the_challenge_age_for_a_wanted_false_acceptance_is_read_off():
    checks = age_checks.read_off(checked(sides()), sides(), ASKED, 200, 0)
    told = {(one["rule"], one["group"], one["false_acceptance"]): one for one in checks}
    assert told["challenge", "all", 0.5]["at_estimate"] == 18
    assert told["challenge", "all", 0.05]["at_estimate"] == 25
    assert told["challenge", "all", 0.05]["at"] is None, "four faces do not show that so few pass"
    assert told["challenge", "all", 0.05]["at_estimate_adults_refused"] == pytest.approx(2 / 3)
    low, high = (told["challenge", "all", 0.05][f"at_estimate_adults_refused_{end}"] for end in ("low", "high"))
    assert 0 < low < 2 / 3 < high < 1
    assert "champion_at" not in told["challenge", "all", 0.05]


def test_the_baseline_lets_everybody_through_or_nobody():
    """It says 20 years of everybody, and that 18 or more is as likely as in the training split, each year counting once more."""
    below, above = row("challenge", 20), row("challenge", 21)
    assert (below["baseline_minors_passed"], below["baseline_adults_refused"]) == (1, 0)
    assert (above["baseline_minors_passed"], above["baseline_adults_refused"]) == (0, 1)
    assert sides().baseline["predicted_at_least_18"].iloc[0] == pytest.approx((3 + 83) / (4 + 101))


def test_a_baseline_without_ages_checks_nobody():
    held = Sides(FACES, Baseline(None, None, "male").predictions(FACES, ASKED.thresholds))
    assert row("challenge", 20, held=held)["baseline_adults_refused"] is None
    assert row("probability", 0.5, held=held)["baseline_minors_passed"] is None


CHAMPION = FACES.assign(
    predicted_age=[6.0, 15, 20, 22, 26, 22, 19, np.nan],
    predicted_at_least_18=[0.0, 0.1, 0.6, 0.7, 0.99, 0.8, 0.5, np.nan],
)


def test_the_champion_at_the_same_setting_on_the_faces_that_both_tell():
    found = row("challenge", 20, held=sides(champion=CHAMPION))
    assert (found["near_minors_passed"], found["champion_near_minors_passed"]) == (0.25, 0.75)
    assert found["near_minors_passed_difference"] == -0.5
    assert (found["adults_refused"], found["champion_adults_refused"]) == (0, 0.5), "of the one of 40 it tells nothing"
    assert found["adults_refused_difference"] == -0.5, "nor does he count in the difference"
    assert found["near_minors_passed_difference_low"] < -0.5 < found["near_minors_passed_difference_high"] <= 0
    assert row("challenge", 20).keys().isdisjoint({"champion_minors_passed", "minors_passed_difference"})


def test_the_difference_is_drawn_in_pairs():
    """Both let the same half of the minors through: there is no difference to doubt, though each share is in doubt."""
    found = row("challenge", 18, held=sides(champion=FACES))
    ends = [found[f"near_minors_passed_difference{end}"] for end in ("", "_low", "_high")]
    assert ends == [0, 0, 0]
    assert found["near_minors_passed_low"] < 0.5 < found["near_minors_passed_high"]


def test_each_at_its_own_setting_for_the_same_false_acceptance():
    rng = np.random.default_rng(3)
    age = np.r_[rng.integers(14, 18, 400), rng.integers(18, 60, 400)].astype(float)
    near, far = age + rng.normal(0, 1, 800), age + rng.normal(0, 3, 800)
    faces = table(age=age, predicted_age=near, predicted_at_least_18=near / 100)
    champion = faces.assign(predicted_age=far, predicted_at_least_18=far / 100)
    held = sides(faces, champion)
    told = age_checks.read_off(checked(held), held, ASKED, 200, 0)
    (one,) = (one for one in told if (one["rule"], one["group"], one["false_acceptance"]) == ("challenge", "all", 0.05))
    assert 18 < one["at"] < one["champion_at"], "who is less sure must ask for more"
    adults = age >= 18
    gap = (near < one["at"])[adults].mean() - (far < one["champion_at"])[adults].mean()
    assert one["at_adults_refused_difference"] == pytest.approx(gap)
    assert one["at_adults_refused_difference_low"] < gap < one["at_adults_refused_difference_high"] < 0


def test_no_known_age_is_no_check(tmp_path):
    held = sides(table(path=["a"], predicted_at_least_18=[np.nan]))
    rows = checked(held)
    assert rows == age_checks.read_off(rows, held, ASKED, 200, 0) == []
    age_checks.write(tmp_path / "empty.parquet", rows)
    assert pq.read_schema(tmp_path / "empty.parquet").names == age_checks.SCHEMA.names
