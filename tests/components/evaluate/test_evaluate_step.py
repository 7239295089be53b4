"""The evaluate step on faces whose figures can be worked out by hand, with a Keras estimator that is loaded from disk."""

import json
import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.evaluate import STEP, Settings, run
from components.step import StepContext
from components.step.command import main
from components.step.settings import build
from schemas.error import VisageError
from schemas.example import FaceExample
from tests.components.evaluate.made_up import SIDE, face, write_estimator, write_examples

WOMAN, MAN = "female", "male"

TRAIN = [
    face(n, 30, age, gender=gender) for n, (age, gender) in enumerate([(20, WOMAN), (30, MAN), (31, MAN), (60, MAN)])
]
"""Median age 30.5, more men."""


QUICK = ["evaluate.blessing.min_examples=4", "evaluate.resamples=200", "evaluate.blessing.fresh_process=false"]


def settings(*overrides: str) -> Settings:
    return build(Settings, {}, [*QUICK, *overrides])


def evaluated(
    folder: Path, test: list[FaceExample], *overrides: str, train=TRAIN, champion=None, **estimator
) -> tuple[StepContext, dict[str, Any]]:
    """Run the step in a folder, on a test split; gives its context and counts."""
    output = folder / "output"
    output.mkdir()
    ingest = write_examples(folder, train=train, validation=[], test=test)
    inputs = {"ingest": ingest, "train": write_estimator(folder, **estimator)}
    context = StepContext(inputs, output, champion=champion)
    return context, dict(run(settings(*overrides), context))


@pytest.fixture
def evaluate(tmp_path: Path):
    """Runs the step on a test split of the test's own."""
    return partial(evaluated, tmp_path)


@pytest.fixture(scope="module")
def of_four(tmp_path_factory) -> tuple[StepContext, dict[str, Any]]:
    """What came of FOUR."""
    return evaluated(tmp_path_factory.mktemp("four"), FOUR)


def measured(context: StepContext) -> dict[str, Any]:
    return json.loads((context.output / "metrics.json").read_text())


# What is said: 22, 40, 60, 34; the errors: +2, -10, 0, +4. Of the genders the third is wrong.
FOUR = [
    face(1, 22, 20, 0.9, WOMAN),
    face(2, 40, 50, 0.1, MAN),
    face(3, 60, 60, 0.4, WOMAN),
    face(4, 34, 30, 0.2, MAN),
]


def crowd(faces: list[FaceExample], times: int = 15) -> list[FaceExample]:
    """The same faces of so many times as many persons."""
    return [
        replace(
            example, person=f"{example.person}-{n}", path=f"{n}-{example.path}", sha256=f"{n:x}{example.sha256[1:]}"
        )
        for n in range(times)
        for example in faces
    ]


MANY = crowd(FOUR)


class TestFigures:
    def test_of_age_and_gender(self, of_four):
        context, counts = of_four
        metrics = measured(context)
        assert metrics["examples"] == 4
        assert metrics["age_mae"] == pytest.approx(16 / 4, abs=0.5)
        assert metrics["age_bias"] == pytest.approx(-4 / 4, abs=0.5)
        assert metrics["age_cs5"] == 0.75
        assert metrics["age_interval_coverage"] == 0.5, "a deviation of 2 years is an interval of 3.3 to either side"
        assert metrics["gender_accuracy"] == 0.75
        assert metrics["gender_auc"] == 1.0, "both women have a higher probability than both men"
        assert counts["age_mae"] == metrics["age_mae"]

    def test_of_the_baseline_come_from_the_training_split(self, of_four):
        metrics = measured(of_four[0])
        assert metrics["baseline_age"] == 30.5
        assert metrics["baseline_age_mae"] == pytest.approx((10.5 + 19.5 + 29.5 + 0.5) / 4)
        assert (metrics["baseline_gender"], metrics["baseline_gender_accuracy"]) == (MAN, 0.5)

    def test_by_slice(self, of_four):
        slices = {(row["slice"], row["value"]): row for row in measured(of_four[0])["slices"]}
        assert set(slices) == {(s, v) for s, v in [("gender", WOMAN), ("gender", MAN)]} | {
            ("age", decade) for decade in ("20-29", "30-39", "50-59", "60-69")
        } | {("gender and age", f"{WOMAN} {decade}") for decade in ("20-29", "60-69")} | {
            ("gender and age", f"{MAN} {decade}") for decade in ("30-39", "50-59")
        }
        assert slices["gender", WOMAN]["age_mae"] == pytest.approx(1, abs=0.5)
        assert slices["gender", WOMAN]["gender_accuracy"] == 0.5
        assert slices["gender", WOMAN]["gender_auc"] is None
        assert slices["age", "50-59"]["age_mae"] == pytest.approx(10, abs=0.5)
        assert slices["age", "50-59"]["examples"] == 1

    def test_of_an_unknown_label_count_for_the_other_only(self, evaluate):
        metrics = measured(evaluate([*FOUR, face(5, 80, None, 0.9, WOMAN), face(6, 47, 40, 0.1, None), face(7, 9)])[0])
        assert metrics["examples"] == 7
        assert metrics["age_mae"] == pytest.approx(23 / 5, abs=0.5)
        assert metrics["gender_accuracy"] == 0.8
        assert sum(row["examples"] for row in metrics["slices"] if row["slice"] == "gender") == 5

    def test_without_any_gender_label_are_null(self, evaluate):
        context, _ = evaluate([face(n, 20 + 5 * n, 20 + 5 * n) for n in range(8)], train=[face(9, 1, 50)])
        metrics = measured(context)
        assert [metrics[name] for name in ("gender_accuracy", "gender_auc", "baseline_gender_accuracy")] == [None] * 3
        assert metrics["blessed"], metrics["reasons"]
        assert "NaN" not in (context.output / "metrics.json").read_text()
        assert not (context.output / "gender.png").exists()

    def test_without_a_gender_head_are_null(self, evaluate):
        context, _ = evaluate(FOUR, gender={"head": "none"})
        assert measured(context)["gender_accuracy"] is None
        assert measured(context)["age_mae"] is not None
        assert pq.read_table(context.output / "predictions.parquet")["predicted_gender"].null_count == 4

    def test_of_a_hundred_years_are_in_the_last_decade(self, evaluate):
        metrics = measured(evaluate([face(n, 99, age) for n, age in enumerate([90, 100, 9, 10])])[0])
        assert [row["value"] for row in metrics["slices"] if row["slice"] == "age"] == ["0-9", "10-19", "90-100"]


class TestIntervals:
    def test_hold_the_figure_and_stay_the_same_with_the_seed(self, of_four):
        metrics = measured(of_four[0])
        assert metrics["age_mae_low"] < metrics["age_mae"] < metrics["age_mae_high"]
        assert metrics["bootstrap"] == {"resamples": 200, "seed": 0, "unit": "person", "interval": 0.95}

    def test_draw_persons_not_photos(self, tmp_path):
        """A hundred photos of each of four persons are no more persons than four."""
        import numpy as np

        from components.estimator import saved
        from components.evaluate import intervals, predictions
        from schemas.shard import read_index

        estimator = saved.load(write_estimator(tmp_path) / "estimator")

        def width(name: str, photos: int, persons_differ: bool) -> float:
            faces = [
                face(number, 30 + 3 * (number % 4), 30, person=f"made:{number if persons_differ else number % 4}")
                for number in range(4 * photos)
            ]
            (tmp_path / name).mkdir()
            folder = write_examples(tmp_path / name, test=faces)
            frame = predictions.predict(estimator, predictions.examples(folder, read_index(folder)["test"]))
            (measured,) = intervals.measure(frame, [np.arange(len(frame))], {}, 500, 0)
            interval = measured.intervals["age_mae"]
            assert interval.low is not None
            assert interval.high is not None
            return interval.high - interval.low

        assert width("few", 100, False) > 5 * width("many", 100, True)


class TestBlessing:
    def test_a_good_model(self, evaluate):
        context, counts = evaluate(MANY)
        assert measured(context)["blessed"] is counts["blessed"] is True
        assert measured(context)["reasons"] == []
        assert "Blessed: this model may go live." in (context.output / "report.html").read_text()

    @pytest.mark.parametrize(
        ("test", "overrides", "estimator", "reason"),
        [
            (MANY, ["min_examples=61"], {}, "There are only 60 test examples, 61 are asked for."),
            (
                MANY,
                [],
                {"age_error": 40},
                r"The age MAE of 3\d\.\d\d years is 2\d\d% of the baseline's 15.00; at most 90% is asked for.",
            ),
            (MANY, ["min_gender_accuracy=0.8"], {}, r"Gender is right for 75.0%; 80.0% is asked for."),
            (
                MANY,
                ["max_slice_mae=5", "min_slice_examples=30"],
                {},
                r"The age MAE of gender male is [67].\d\d years; at most 5.00 is asked for in every slice.",
            ),
            ([face(n, 20) for n in range(4)], [], {}, "Nothing could be measured: the test split has no label"),
        ],
        ids=["few examples", "worse than the baseline", "gender", "slice", "no label"],
    )
    def test_is_withheld_with_a_reason(self, test, overrides, estimator, reason, evaluate):
        context, counts = evaluate(test, *(f"evaluate.blessing.{override}" for override in overrides), **estimator)
        metrics = measured(context)
        assert not metrics["blessed"]
        assert len(metrics["reasons"]) == 1
        assert re.match(reason, metrics["reasons"][0])
        assert metrics["reasons"][0].split("'")[0] in (context.output / "report.html").read_text()
        assert counts["blessed"] is False

    def test_small_slices_do_not_decide(self, evaluate):
        context, _ = evaluate(MANY, "evaluate.blessing.max_slice_mae=8")
        assert measured(context)["blessed"]

    def test_a_model_that_says_nothing(self, evaluate):
        context, _ = evaluate(FOUR, age_error=math.nan)
        assert not measured(context)["blessed"]
        assert measured(context)["age_mae"] is None
        assert "The estimator says no age of 4 of 4 faces." in measured(context)["reasons"]

    def test_fails_the_run_only_where_that_is_asked_for(self, evaluate, tmp_path):
        with pytest.raises(VisageError, match=r"The model is not blessed:\n- Gender is right for 75.0%") as caught:
            evaluate(MANY, "evaluate.require_blessing=true", "evaluate.blessing.min_gender_accuracy=0.8")
        assert caught.value.exit_code == 1
        assert (tmp_path / "output" / "metrics.json").is_file()


def persons(count: int, men: int, predicted_female: float | None = None) -> list[FaceExample]:
    """Faces of all ages, told right; so many of the hundred are men; the gender is told right, or the same of everyone."""
    return [
        face(n, age, age, predicted_female if predicted_female is not None else 0.1 if n % 100 < men else 0.9, gender)
        for n in range(count)
        for age, gender in [(10 + n * 37 % 80, MAN if n % 100 < men else WOMAN)]
    ]


class TestBaseline:
    """Every figure that has a baseline must beat it, with its interval."""

    TRAIN: ClassVar = [face(n, 1, 40, gender=MAN if n < 8 else WOMAN) for n in range(10)]

    def test_always_saying_male_of_eighty_percent_men_is_not_blessed(self, evaluate):
        context, _ = evaluate(persons(100, 80, predicted_female=0.2), train=self.TRAIN)
        assert measured(context)["gender_accuracy"] == 0.8, "above min_gender_accuracy"
        assert measured(context)["reasons"] == [
            "The share of right genders of 80.0% is not shown to be better than the 80.0% of the baseline, which always says "
            "male."
        ]

    def test_always_saying_female_is_not_blessed_either_where_the_test_split_has_more_women_than_the_training_split(
        self, evaluate
    ):
        context, _ = evaluate(persons(100, 25, predicted_female=0.8), train=self.TRAIN)
        assert measured(context)["baseline_gender_accuracy"] == 0.25
        assert measured(context)["reasons"] == [
            "The share of right genders of 75.0% is not shown to be better than the 75.0% of always saying female."
        ]

    def test_a_better_share_whose_interval_holds_the_baselines_is_not_enough_and_says_how_many_persons_would_tell(
        self, evaluate
    ):
        test = [*persons(49, 40, predicted_female=0.2), face(99, 30, 30, 0.9, WOMAN)]
        context, _ = evaluate(test, train=self.TRAIN)
        reason = measured(context)["reasons"][0]
        assert re.fullmatch(
            r"The share of right genders of 82.0% is not shown to be better than the 80.0% of the baseline, which always says "
            r"male: the 95 % interval of the difference is -\d+.\d points to \d+.\d points. The test set has 50 persons; about "
            r"\d+ would tell.",
            reason,
        ), reason

    def test_the_same_age_for_everyone_is_not_blessed_even_if_it_suits_the_test_split(self, evaluate):
        """The baseline's age is 80, and that of most test faces 20: 21 for everyone would be a good guess."""
        test = [face(n, 21, 20 + n % 3, *((0.1, MAN), (0.9, WOMAN))[n % 2]) for n in range(60)]
        context, _ = evaluate(test, train=[face(n, 1, 80, gender=MAN) for n in range(4)])
        assert measured(context)["age_mae"] < 0.1 * measured(context)["baseline_age_mae"]
        (reason,) = measured(context)["reasons"]
        assert "of always saying 21 years" in reason

    def test_what_every_constant_gets_right_cannot_be_beaten(self, evaluate):
        context, _ = evaluate(persons(60, 100), train=self.TRAIN)
        (reason,) = measured(context)["reasons"]
        assert reason.endswith(
            "of 100.0% is not shown to be better than the 100.0% of the baseline, which always says male."
        )

    def test_one_setting_lets_it_be(self, evaluate):
        context, _ = evaluate(
            persons(100, 80, predicted_female=0.2), "evaluate.blessing.beat_baseline=false", train=self.TRAIN
        )
        assert measured(context)["blessed"]

    def test_the_interval_is_of_persons_however_many_photos_they_have(self, evaluate):
        """One person who is told better than the baseline, fifty times, is one person."""
        test = [
            *(replace(face(n, 30, 30, 0.9, WOMAN), person="made:same") for n in range(50)),
            *(face(n, 10 + n % 80, 10 + n % 80, 0.1, MAN) for n in range(50, 110)),
        ]
        (reason,) = measured(evaluate(test, train=self.TRAIN)[0])["reasons"]
        assert "is not shown to be better" in reason
        assert "The test set has 61 persons" in reason


class TestAgeClasses:
    CLASSES: ClassVar = {"age": {"edges": [30, 60], "classes": ["YOUNG", "MIDDLE", "OLD"], "loss": "cross_entropy"}}

    def test_of_class_labels(self, evaluate):
        test = [
            face(n, says, age_class=name) for n, (says, name) in enumerate([(15, "YOUNG"), (15, "YOUNG"), (80, "OLD")])
        ]
        test += [face(4, 80, age_class="MIDDLE"), face(5, 45, age_class="MIDDLE")]
        test = crowd(test, 10)
        train = [face(9, 1, age_class="MIDDLE"), face(8, 1, age_class="MIDDLE"), face(7, 1, age_class="OLD")]
        context, _ = evaluate(test, train=train, **self.CLASSES)
        metrics = measured(context)
        assert metrics["age_mae"] is None
        assert metrics["age_class_accuracy"] == 0.8
        assert (metrics["baseline_age_class"], metrics["baseline_age_class_accuracy"]) == ("MIDDLE", 0.4)
        assert metrics["age_classes"] == ["YOUNG", "MIDDLE", "OLD"]
        assert metrics["age_class_confusion"] == [[20, 0, 0], [0, 10, 10], [0, 0, 10]]
        assert {row["value"] for row in metrics["slices"] if row["slice"] == "age_class"} == {"YOUNG", "MIDDLE", "OLD"}
        assert metrics["blessed"], metrics["reasons"]
        assert "said MIDDLE" in (context.output / "report.html").read_text()

    def test_no_better_than_the_most_frequent_class(self, evaluate):
        test = [face(n, 80, age_class="MIDDLE") for n in range(3)] + [face(5, 80, age_class="OLD")]
        context, _ = evaluate(test, train=[face(9, 1, age_class="MIDDLE")], **self.CLASSES)
        assert measured(context)["reasons"] == [
            "The age class is wrong for 75.0%, the baseline's for 25.0%; at most 90% of that is asked for."
        ]

    def test_of_ages_in_years(self, evaluate):
        context, _ = evaluate(FOUR, **self.CLASSES)
        metrics = measured(context)
        assert metrics["age_mae"] is not None
        assert [sum(row) for row in metrics["age_class_confusion"]] == [1, 2, 1]

    def test_the_likeliest_class_counts_and_not_the_one_of_the_expected_age(self, evaluate):
        context, _ = evaluate([face(n, 80, age_class="OLD") for n in range(4)], deviation=60, **self.CLASSES)
        rows = pq.read_table(context.output / "predictions.parquet").to_pylist()
        assert all(30 <= row["predicted_age"] < 60 for row in rows), "an unsure estimator tends to the middle"
        assert measured(context)["age_class_accuracy"] == 1


def predicted_ages(sheet: Path) -> list[int]:
    """What the estimator says of the faces on a sheet of two, by their colour."""
    with Image.open(sheet) as opened:
        return [round(opened.crop((place, 40, place + 1, 41)).tobytes()[0] / 2) for place in (48, 96 + 48)]


class TestFiles:
    def test_predictions_are_one_row_an_example(self, of_four):
        context, _ = of_four
        rows = {row["path"]: row for row in pq.read_table(context.output / "predictions.parquet").to_pylist()}
        assert len(rows) == 4
        row = rows["2.jpg"]
        assert (row["person"], row["age"], row["age_decade"], row["gender"]) == ("made:2", 50, "50-59", MAN)
        assert row["predicted_age"] == pytest.approx(40, abs=0.5)
        assert row["predicted_age_low"] < 38 < 42 < row["predicted_age_high"]
        assert row["predicted_gender"] == MAN

    def test_the_report_needs_no_other_file_and_no_web(self, of_four):
        context, _ = of_four
        report = (context.output / "report.html").read_text()
        assert len(re.findall(r'src="data:image/png;base64,', report)) == 8
        assert not re.findall(r'(?:src|href)="(?!data:)', report)
        assert "4 test faces of 4 persons" in report

    def test_the_worst_faces_come_first_and_the_best_of_every_decade(self, evaluate):
        context, _ = evaluate([*FOUR, face(5, 21, 20)], "evaluate.worst_faces=2")
        assert predicted_ages(context.output / "worst_faces.png") == [40, 34], "missed by ten years, and by four"
        assert predicted_ages(context.output / "best_faces.png") == [21, 34], (
            "the best of the twenties, then of the thirties"
        )

    def test_progress_counts_faces(self, tmp_path):
        ingest, reports = write_examples(tmp_path, train=TRAIN, test=FOUR), []
        (tmp_path / "output").mkdir()
        context = StepContext({"ingest": ingest, "train": write_estimator(tmp_path)}, tmp_path / "output")
        context.tracker.progress = lambda *values: reports.append(values)  # type: ignore[method-assign]
        run(settings(), context)
        assert reports[-1] == (4, 4, "faces")


class TestBadInput:
    def test_no_test_examples(self, evaluate):
        with pytest.raises(VisageError, match="The test split holds no examples"):
            evaluate([])

    def test_a_picture_that_cannot_be_decoded(self, evaluate):
        broken = FaceExample(b"no picture", SIDE, SIDE, "made:9", "made", "9.jpg", "9" * 64, age=3)
        with pytest.raises(VisageError, match=r"The picture of made, 9.jpg in the test split cannot be decoded"):
            evaluate([*FOUR, broken])

    def test_a_shard_is_missing(self, tmp_path):
        ingest = write_examples(tmp_path, train=TRAIN, test=FOUR)
        (ingest / "test/test-00001-of-00002.tfrecord").unlink()
        with pytest.raises(VisageError, match=r"test-00001-of-00002.tfrecord is missing"):
            run(settings(), StepContext({"ingest": ingest, "train": write_estimator(tmp_path)}, tmp_path))

    def test_no_estimator(self, tmp_path):
        ingest = write_examples(tmp_path, train=TRAIN, test=FOUR)
        with pytest.raises(VisageError, match="holds no estimator"):
            run(settings(), StepContext({"ingest": ingest, "train": tmp_path}, tmp_path))

    def test_alone_it_ends_with_one_message(self, tmp_path, capsys):
        ingest = write_examples(tmp_path, train=TRAIN, test=FOUR)
        command = ["--input", "ingest", str(ingest), "--input", "train", str(write_estimator(tmp_path))]
        command += ["--out", str(tmp_path / "evaluated"), "--set", "evaluate.require_blessing=true"]
        command += ["--set", "evaluate.blessing.fresh_process=false"]
        assert main(STEP, command) == 1
        stderr = capsys.readouterr().err
        assert "visage: The model is not blessed:\n- There are only 4 test examples, 50 are asked for." in stderr
        assert "Traceback" not in stderr
