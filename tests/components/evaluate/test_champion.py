"""A model against the champion, and against the best that was blessed before it, in a real registry."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components import registry
from components.evaluate import Settings, rivals, run
from components.registry import BEST, ModelVersion
from components.registry.learned_from import LearnedFrom
from components.step import StepContext
from components.step.settings import build
from schemas.error import VisageError
from schemas.example import FaceExample
from tests.components.evaluate.champions import champion_of, register
from tests.components.evaluate.made_up import face, write_estimator, write_examples

WOMAN, MAN = "female", "male"
TRAIN = [face(n, 30, 50, gender=MAN if n < 3 else WOMAN, person=f"train:{n}") for n in range(5)]


def faces(*wrong_by: float) -> list[FaceExample]:
    """Forty faces of all ages; the estimator is wrong by these years in turn, and right about the gender."""
    ages = [10 + 2 * n for n in range(40)]
    return [
        face(n, age + wrong_by[n % len(wrong_by)], age, *((0.1, MAN) if n % 4 < 2 else (0.9, WOMAN)))
        for n, age in enumerate(ages)
    ]


@pytest.fixture
def evaluate(tmp_path: Path):
    """Runs the step on a test split against a champion; gives what metrics.json says."""

    def work(test: list[FaceExample], champion: ModelVersion, *overrides: str, **estimator) -> dict[str, Any]:
        (tmp_path / "output").mkdir()
        ingest = write_examples(tmp_path, train=TRAIN, validation=[], test=test)
        inputs = {"ingest": ingest, "train": write_estimator(tmp_path, **estimator)}
        settings = build(
            Settings,
            {},
            [
                "evaluate.blessing.min_examples=4",
                "evaluate.blessing.gender_margin=0.1",  # forty faces of which both are right show no less
                "evaluate.resamples=200",
                "evaluate.blessing.fresh_process=false",
                *overrides,
            ],
        )
        context = StepContext(inputs, tmp_path / "output", champion=champion)
        counts = run(settings, context)
        metrics = json.loads((tmp_path / "output" / "metrics.json").read_text())
        metrics["report"] = (tmp_path / "output" / "report.html").read_text()
        metrics["counts"] = counts
        return metrics

    return work


@pytest.fixture(scope="module")
def store(tmp_path_factory, empty_registry) -> Iterator[Path]:
    """A registry whose version 1 says 3 years too much and is champion."""
    folder = tmp_path_factory.mktemp("champion")
    with champion_of({"estimator": write_estimator(folder, age_error=3) / "estimator"}, folder, empty_registry):
        yield folder


@pytest.fixture
def champion(store) -> ModelVersion:
    return registry.resolve("visage/1")


def one_more(store: Path, folder: Path, age_error: float, **tags: str) -> ModelVersion:
    """Register a version that says so many years too much."""
    folder.mkdir()
    files = {"estimator": write_estimator(folder, age_error=age_error) / "estimator"}
    return register(files, folder, **{f"{BEST}{name}": value for name, value in tags.items()})


class TestMargin:
    """Not worse with 95 % confidence within a margin; on the faces here the champion is wrong by 3 years more."""

    def test_a_better_model_takes_its_place(self, champion, evaluate):
        metrics = evaluate(faces(0), champion)
        assert metrics["blessed"], metrics["reasons"]
        assert (metrics["champion"]["version"], metrics["champion"]["compared"]) == ("1", True)
        assert metrics["champion"]["age_mae"] == pytest.approx(3, abs=0.5)
        assert metrics["champion"]["gender_accuracy"] == 1
        assert metrics["champion"]["age_mae_difference_high"] < -2
        assert metrics["counts"]["compared_with"] == "visage/1"
        assert "version 1, on the same faces" in metrics["report"]

    def test_it_is_held_against_it_in_age_checks_and_in_every_slice_too(self, champion, evaluate, tmp_path):
        """Those of 16 years the champion takes for 19: they pass a check that asks for 18."""
        metrics = evaluate(faces(0), champion)
        rows = pq.read_table(tmp_path / "output" / "age_checks.parquet").to_pylist()
        (check,) = (
            row
            for row in rows
            if (row["threshold"], row["rule"], row["at"], row["group"]) == (18, "challenge", 18, "all")
        )
        assert (check["near_minors_passed"], check["champion_near_minors_passed"]) == (0, 0.5)
        assert check["near_minors_passed_difference"] == -0.5
        assert (check["baseline_near_minors_passed"], check["baseline_adults_refused"]) == (1, 0)
        assert all("champion_at" in point for point in metrics["age_checks"])
        for row in metrics["slices"]:
            assert row["champion_differences"]["age_mae"]["value"] < -1.5
        assert "champion: adults refused" in metrics["report"]
        assert "Every group beside the baseline and the champion" in metrics["report"]

    def test_a_worse_one_does_not_and_the_sentence_has_the_interval_and_the_margin(self, champion, evaluate):
        (reason,) = evaluate(faces(2), champion, age_error=4)["reasons"]
        assert re.fullmatch(
            r"The age MAE of \d.\d\d years is worse than the \d.\d\d years of version 1, the champion: by \d.\d\d years, "
            r"95 % interval \d.\d\d years to \d.\d\d years, where 0.50 years is allowed.",
            reason,
        ), reason

    def test_a_little_worse_is_within_the_margin(self, champion, evaluate):
        metrics = evaluate(faces(2), champion, "evaluate.blessing.age_margin_years=1.5", age_error=4)
        assert metrics["blessed"], metrics["reasons"]

    def test_as_good_on_average_is_not_enough_where_the_test_set_is_too_small_to_judge(self, champion, evaluate):
        """On one half of the faces three years better, on the other three years worse."""
        (reason,) = evaluate(faces(0, -6), champion)["reasons"]
        assert re.fullmatch(
            r"The test set is too small to judge whether the age MAE of \d.\d\d years is as good as the \d.\d\d years of "
            r"version 1, the champion: it may be worse by up to \d.\d\d years \(95 % interval of the difference\), where 0.50 "
            r"years is allowed. The test set has 40 persons; about \d+ would tell.",
            reason,
        ), reason

    def test_the_same_on_average_is_enough_where_the_interval_is_within_the_margin(self, champion, evaluate):
        metrics = evaluate(faces(0, -6), champion, "evaluate.blessing.age_margin_years=2")
        assert metrics["blessed"], metrics["reasons"]

    def test_one_that_tells_no_gender_does_not(self, champion, evaluate):
        metrics = evaluate(faces(0), champion, gender={"head": "none"})
        assert metrics["reasons"] == ["The estimator tells no gender, but version 1, the champion, does."]

    def test_gender_has_a_margin_of_its_own(self, champion, store, evaluate, tmp_path):
        wrong = [
            face(n, 10 + 2 * n, 10 + 2 * n, *((0.1, MAN) if n % 4 < 2 else (0.45 if n % 8 == 2 else 0.9, WOMAN)))
            for n in range(40)
        ]
        metrics = evaluate(wrong, champion, "evaluate.blessing.gender_margin=0.08")
        assert metrics["gender_accuracy"] == metrics["champion"]["gender_accuracy"] == 0.875
        (reason,) = metrics["reasons"]
        assert "too small to judge whether the share of right genders of 87.5% is as good as the 87.5% of" in reason
        assert "may be worse by up to 8.8 points" in reason, "both are wrong about the same faces, but these are forty"


class TestManySmallSteps:
    """Never worse than the best blessed version so far by more than one margin in all."""

    def test_each_within_the_margin_of_the_last_but_the_second_too_far_from_the_best(self, store, evaluate, tmp_path):
        best = one_more(store, tmp_path / "best", 0, age_mae="self", gender_accuracy="self")
        second = one_more(store, tmp_path / "second", 0.4, age_mae=best.version, gender_accuracy=best.version)
        metrics = evaluate(faces(2), second, age_error=0.8)
        assert metrics["champion"]["age_mae_difference_high"] < 0.5, "the champion alone would let it pass"
        (reason,) = metrics["reasons"]
        assert f"of version {best.version}, the best that was blessed so far: by 0." in reason
        assert [reference["version"] for reference in metrics["references"]] == [best.version]
        assert metrics["best"]["age_mae"] == best.version

    def test_a_better_one_is_the_best_from_then_on(self, store, evaluate, tmp_path):
        before = one_more(store, tmp_path / "before", 1, age_mae="self")
        metrics = evaluate(faces(2), one_more(store, tmp_path / "now", 1.4, age_mae=before.version), age_error=0)
        assert metrics["blessed"], metrics["reasons"]
        assert metrics["best"]["age_mae"] == "self"

    def test_a_best_one_that_was_deleted_is_said_and_does_not_decide(self, store, evaluate, tmp_path):
        metrics = evaluate(faces(2), one_more(store, tmp_path / "now", 1.4, age_mae="99"), age_error=0)
        assert metrics["blessed"], metrics["reasons"]
        assert metrics["references"][0]["why_not"] == "It cannot be used: it was deleted."
        assert "version 99, the best so far: It cannot be used: it was deleted." in metrics["report"]

    @pytest.mark.parametrize(
        ("blessed", "difference", "best"),
        [(True, -0.1, "self"), (True, 0, "self"), (True, 0.1, "3"), (False, -0.1, "3"), (True, None, "self")],
    )
    def test_which_is_the_best_afterwards(self, blessed, difference, best):
        differences = {} if difference is None else {"age_mae": {"value": difference}}
        comparison = {"version": "3", "best_in": ["age_mae"], "differences": differences}
        assert rivals.best_after(blessed, [comparison])["age_mae"] == best
        assert rivals.best_after(blessed, [])["age_mae"] == ("self" if blessed else "")

    def test_a_larger_share_of_right_genders_is_the_better(self):
        comparison = {
            "version": "3",
            "best_in": ["gender_accuracy"],
            "differences": {"gender_accuracy": {"value": 0.01}},
        }
        assert rivals.best_after(True, [comparison])["gender_accuracy"] == "self"
        comparison["differences"] = {"gender_accuracy": {"value": -0.01}}
        assert rivals.best_after(True, [comparison])["gender_accuracy"] == "3"


class TestPersonsOfTheTestSplit:
    """A champion that was trained on persons of this test split is not compared, and that is said."""

    def learned(self, store: Path, folder: Path, learned_from: list[FaceExample] | None, **tags: str) -> ModelVersion:
        files: dict[str, Path | None] = {"estimator": write_estimator(folder / "made", age_error=3) / "estimator"}
        files["learned_from"] = None
        if learned_from is not None:
            LearnedFrom.of(write_examples(folder / "made", train=learned_from)).write(
                folder / "made" / "learned_from.npy"
            )
            files["learned_from"] = folder / "made" / "learned_from.npy"
        return register(files, folder, **tags)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "version" / "made").mkdir(parents=True)
        return tmp_path / "version"

    def test_one_of_them_is_enough(self, store, evaluate, folder):
        test = faces(0)
        other = face(77, 9, 9, person=test[3].person, path="another photo")
        version = self.learned(store, folder, [other])
        metrics = evaluate(test, version)
        assert not metrics["champion"]["compared"]
        assert metrics["champion"]["age_mae"] is None, "a figure that flatters is not shown"
        (reason,) = metrics["reasons"]
        assert reason == (
            f"It could not be held against version {version.version}, the champion: It learned from the persons or photos of 1 "
            "of these 40 test faces. Whether it is better, a person must say: `visage models promote` makes it champion."
        )
        assert "It learned from the persons or photos of 1 of these 40 test faces." in metrics["report"]
        assert metrics["counts"]["compared_with"] == "no champion"

    def test_nor_is_the_same_photo_under_another_name(self, store, evaluate, folder):
        test = faces(0)
        other = face(77, 9, 9, person="elsewhere:1", sha256=test[3].sha256)
        assert not evaluate(test, self.learned(store, folder, [other]))["champion"]["compared"]

    def test_other_persons_do_not_matter(self, store, evaluate, folder):
        version = self.learned(
            store, folder, [face(n, 9, 9, person=f"elsewhere:{n}", sha256=f"f{n}") for n in range(9)]
        )
        metrics = evaluate(faces(0), version)
        assert metrics["champion"]["compared"]
        assert metrics["blessed"], metrics["reasons"]

    def test_an_old_version_without_a_list_is_not_compared(self, store, evaluate, folder):
        metrics = evaluate(faces(0), self.learned(store, folder, None))
        assert "registered without a list of what it learned from" in metrics["reasons"][0]

    def test_unless_it_was_made_from_these_very_examples(self, store, evaluate, folder):
        metrics = evaluate(faces(0), self.learned(store, folder, None, **{"visage.data_fingerprint": "made up"}))
        assert metrics["champion"]["compared"]

    def test_the_validation_split_is_learned_from_and_the_test_split_is_not(self, tmp_path):
        ingest = write_examples(tmp_path, train=[face(1, 9)], validation=[face(2, 9)], test=[face(3, 9)])
        learned_from = LearnedFrom.of(ingest)
        learned_from.write(tmp_path / "learned_from.npy")
        read = LearnedFrom.read(tmp_path)
        assert read == learned_from
        assert read is not None
        assert [read.knows(face(number, 0)) for number in (1, 2, 3)] == [True, True, False]


def test_a_champion_that_cannot_be_loaded_ends_the_run_and_says_so(store, evaluate, tmp_path):
    broken = one_more(store, tmp_path / "broken", 1)
    (registry.download(broken) / "estimator" / "estimator.json").write_text("{}")
    with pytest.raises(VisageError, match=f"The champion {broken} cannot be used: ") as caught:
        evaluate(faces(0), broken)
    assert "visage models promote visage/VERSION" in caught.value.hint
