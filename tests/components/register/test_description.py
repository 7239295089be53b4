"""The description of a version: always the essentials of the card, and never more letters than MLflow holds."""

import re
from typing import Any

import pytest

from components.register import card, description
from tests.components.register import made_up

LOCATION = description.CardLocation("7" * 20, f"m-{'a' * 32}", "b" * 32)
SECTIONS = [
    "Intended use",
    "How good it is",
    "For whom it is worst",
    "Data and its terms",
    "Limits",
    "How it was made",
    "The whole card",
]


def group(value: str, age_mae: float, gender_accuracy: float = 0.9, **changed: Any) -> dict[str, Any]:
    slice_metrics = {
        "slice": "age",
        "value": value,
        "examples": 50,
        "age_mae": age_mae,
        "gender_accuracy": gender_accuracy,
    }
    return slice_metrics | changed


def check(threshold: int, false_acceptance: float, at: float | None, **changed: Any) -> dict[str, Any]:
    figures = {
        "threshold": threshold,
        "rule": "challenge",
        "group": "all",
        "false_acceptance": false_acceptance,
        "at": at,
    }
    return figures | {"at_adults_refused": 0.25, "near_minors": 123} | changed


def origin(**changed: Any) -> card.Origin:
    source = {"kind": "imdb_wiki", "path": "/data/imdb_crop"}
    counts = {"ingest": {"train": 3600, "validation": 400, "test": 1000}}
    return card.Origin(**{"source": source, "counts": counts, "lineage": {}, "command": "visage run", **changed})


def described(*, made_of: card.Origin | None = None, **metrics: Any) -> str:
    return description.text(made_up.metrics(**metrics), made_of or origin(), LOCATION)


def sections(text: str) -> list[str]:
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]


class TestWhatItTells:
    def test_what_a_reader_must_know_before_he_uses_the_model(self):
        text = described()
        assert sections(text) == SECTIONS
        assert "Not for deciding about a person" in text
        assert "imdb_crop, read as imdb_wiki; examples: train 3,600, validation 400, test 1,000." in text
        assert card.TERMS["imdb_wiki"] in text
        assert "`visage run`" in text
        assert "…" not in text

    @pytest.mark.parametrize(
        ("estimator", "purpose"),
        [
            (
                {},
                "age (a distribution over 0 to 100 years, given as expected value, spread and 90 % interval) and gender",
            ),
            ({"gender": {"head": "none"}, "age": {"lowest": 1}}, "age (a distribution over 1 to 100 years, given as"),
            (
                {"age": {"head": "regression", "loss": "squared_error"}},
                "age (in years, with spread and 90 % interval) and",
            ),
            ({"age": {"edges": [30, 50]}}, "one of 3 age classes from 0 to 100 years and gender from"),
        ],
    )
    def test_what_this_very_model_tells(self, estimator, purpose):
        first = described(made_of=origin(estimator=estimator)).splitlines()[0]
        assert first.startswith(f"Estimates {purpose}") and first.endswith(" from a photograph of one face.")
        assert ("gender" in first) == ("gender" not in estimator)

    def test_where_the_whole_card_lies_as_links_that_hold_under_any_address_of_the_server(self):
        text = described()
        as_training = "?workflowType=machine_learning"
        at = f"#/experiments/{'7' * 20}"
        assert f"[the model's files]({at}/models/m-{'a' * 32}/artifacts{as_training})" in text
        assert f"[evaluate's page]({at}/runs/{'b' * 32}/artifacts/evaluation/report.html{as_training})" in text

    def test_why_a_model_was_not_blessed(self):
        text = described(blessed=False, reasons=["age MAE 9.0 is above 8.0", "two", "three", "four", "five"])
        assert "**Not blessed.**\n\n- age MAE 9.0 is above 8.0\n- two\n- three\n- and 2 more\n" in text

    def test_no_secret_that_the_command_held(self):
        text = described(made_of=origin(command="visage run --set beam.options=[--s3_secret_access_key=hunter2]"))
        assert "hunter2" not in text and "--s3_secret_access_key=***" in text


class TestSlices:
    def test_those_where_a_figure_is_worst_come_first_and_each_once(self):
        groups = [group(str(age), age_mae=age, gender_accuracy=0.5 + age / 100) for age in range(15)]
        lines = described(slices=groups).partition("## For whom")[2].splitlines()
        order = [line.split()[2] for line in lines if line.startswith("| age: ")]
        assert order == ["14", "13", "12", "0", "1", "2"], "the oldest for age, the youngest for gender"
        both = [group("old", 9, 0.5), group("young", 3, 0.9)]
        assert described(slices=both).count("| age: old") == 1

    def test_groups_too_small_to_judge_are_not_among_them(self):
        assert "| age: tiny" not in described(slices=[group("tiny", 40, judged=False), group("old", 9)])
        assert "No group of the test split has enough faces" in described(slices=[group("tiny", 40, judged=False)])
        few_ages = group("few ages", 40, judged=True, judged_by=["gender_accuracy"])
        told = described(slices=[few_ages, *(group(f"old {age}", age, gender_accuracy=0.8) for age in (7, 8, 9))])
        assert "few ages" not in told, "one face of known age does not make a group the worst"

    def test_a_figure_that_no_group_has_gets_no_column(self):
        assert "age class right" not in described(slices=[group("old", 9)])


class TestAgeCheck:
    def test_of_18_the_strictest_that_the_test_faces_show(self):
        tried = [check(21, 0.01, 30), check(18, 0.1, 22), check(18, 0.05, 26), check(18, 0.01, None)]
        text = described(age_checks=tried)
        assert "Age check for 18: at a challenge age of 26 years at most 5.0% of the minors" in text
        assert "(123 faces), and 25.0% of the adults are refused." in text

    def test_that_no_challenge_age_is_shown_to_do(self):
        text = described(age_checks=[check(18, 0.1, None), check(18, 0.01, None)])
        assert "show of no challenge age that at most 10.0% of the minors near 18 pass" in text

    def test_of_another_age_where_18_was_not_tried(self):
        assert "Age check for 21: " in described(age_checks=[check(16, 0.1, 20), check(21, 0.1, 30)])

    def test_is_left_out_where_none_was_tried(self):
        assert "Age check for" not in described(age_checks=[])


class TestItsLength:
    """Every part as long as it can be: its own bounds hold the whole below MLflow's."""

    LONG = "Ünïcödé 写真 \N{BABY} 'x' | "  # of one, two, three and four bytes

    @pytest.fixture
    def longest(self, monkeypatch):
        monkeypatch.setitem(card.TERMS, "imdb_wiki", self.LONG * 100)
        everything = [*card.FIGURES, *card.CALIBRATION]
        best = {"age_mae": -100.0, "age_class_accuracy": 100.0, "gender_accuracy": 100.0}
        ends = {f"{name}{end}": -100.0 for name in best for end in ("_low", "_high")}
        groups = [
            group(f"{number} {self.LONG * 9}", **{**best, worst: worse - number}, **ends, examples=123_456_789)
            for worst, worse in (("age_mae", 100.0), ("age_class_accuracy", -100.0), ("gender_accuracy", -100.0))
            for number in range(5)
        ]
        return described(
            made_of=origin(
                source={"kind": "imdb_wiki", "name": self.LONG * 20, "path": "/x"},
                counts={"ingest": dict.fromkeys(("train", "validation", "test"), 123_456_789)},
                command=f"visage run --set source.path={self.LONG * 200}",
            ),
            examples=123_456_789,
            blessed=False,
            reasons=[self.LONG * 40] * 30,
            slices=groups,
            age_checks=[check(18, 0.0123, 27.25, at_adults_refused=0.999, near_minors=123_456_789)],
            **{
                name: -100.0
                for figure in everything
                for name in (f"baseline_{figure}", figure, f"{figure}_low", f"{figure}_high")
            },
        )

    def test_stays_within_what_mlflow_holds_and_no_section_is_missing(self, longest):
        assert sections(longest) == SECTIONS
        assert len(re.findall(r"^\| age: \d+ Ünï", longest, re.MULTILINE)) == 9, "three for each of three figures"
        assert "Age check for 18" in longest
        assert longest.endswith("shows the worst faces.\n")
        assert len(longest) <= description.LONGEST
        assert len(longest) > 0.9 * description.LONGEST, "else it could tell more"

    def test_what_is_cut_is_seen_to_be_cut(self, longest):
        assert longest.count("…") == 3 + 9 + 1 + 1 + 1, "reasons, groups, name, terms, command"

    def test_the_bound_is_that_of_the_installed_mlflow(self):
        from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel

        assert SqlModelVersion.__table__.c.description.type.length == description.LONGEST
        assert SqlRegisteredModel.__table__.c.description.type.length == description.LONGEST > len(card.PURPOSE)
