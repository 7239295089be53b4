"""Age checks on tables that can be counted by hand."""

import pytest

from components.evaluate import age_checks
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


def row(rule: str, at: float, group: str = "all") -> dict:
    (found,) = (
        row for row in age_checks.table(FACES, ASKED) if (row["rule"], row["at"], row["group"]) == (rule, at, group)
    )
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
    checks = age_checks.read_off(age_checks.table(FACES, ASKED), ASKED)
    told = {(one["rule"], one["group"], one["false_acceptance"]): one for one in checks}
    assert told["challenge", "all", 0.5]["at_estimate"] == 18
    assert told["challenge", "all", 0.05]["at_estimate"] == 25
    assert told["challenge", "all", 0.05]["at"] is None, "four faces do not show that so few pass"
    assert told["challenge", "all", 0.05]["at_estimate_adults_refused"] == pytest.approx(2 / 3)


def test_no_known_age_is_no_check(tmp_path):
    rows = age_checks.table(table(path=["a"]), ASKED)
    assert rows == age_checks.read_off(rows, ASKED) == []
    age_checks.write(tmp_path / "empty.parquet", rows)
