"""The validate step on made-up examples, with TFDV itself."""

import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.step.command import main
from components.step.identity import of_step
from components.step.imports import data_files, project_files
from components.step.settings import build
from components.validate import STEP, Settings, run
from components.validate import split_statistics as described
from components.validate.reviewed_schema import load_schema, place_of
from schemas.error import VisageError
from schemas.example import FEATURES, FaceExample, encode
from schemas.shard import read_index
from tests.components.evaluate.champions import champion_of
from tests.components.validate.made_up import face, faces

SKEW_OF_GENDER = """domain: "gender"
  skew_comparator {{ infinity_norm {{ threshold: {} }} }}"""


def settings(*overrides: str) -> Settings:
    return build(Settings, {}, overrides)


def read(job) -> dict[str, Any]:
    return json.loads((job.output / "anomalies.json").read_text())


def raw(example: FaceExample, **features) -> bytes:
    """An Example as only another program would write it; None takes a feature away."""
    message = tf.train.Example.FromString(encode(example))
    for name, values in features.items():
        name = name.replace("__", "/")
        message.features.feature.pop(name)
        if values is None:
            continue
        kind = {int: "int64", float: "float", bytes: "bytes"}[type(values[0])] if values else FEATURES[name]
        values_list = getattr(message.features.feature[name], f"{kind}_list")
        values_list.value.extend(values)
        values_list.SetInParent()
    return message.SerializeToString()


class TestSoundData:
    def test_it_passes_and_is_described(self, write_examples, job):
        task = job(write_examples({"train": faces(300), "test": faces(60)}))
        counts = run(settings(), task)
        assert counts["examples"] == 400
        assert counts["anomalies"] == 0
        assert counts["compared_with"] == "no champion"
        assert read(task)["examples"] == {"train": 300, "validation": 40, "test": 60}
        statistics = described.load(task.output / "statistics" / "train.pb")
        ages = [example.age or 0 for example in faces(300)]
        age: Any = described.feature(statistics, "face/age")
        assert (age.num_stats.min, age.num_stats.max) == (min(ages), max(ages))
        assert age.num_stats.mean == pytest.approx(sum(ages) / len(ages))

    def test_the_report_needs_no_other_file_and_no_web(self, write_examples, job):
        task = job(write_examples({"train": faces(300)}))
        run(settings(), task)
        report = (task.output / "report.html").read_text()
        assert "No anomalies" in report
        assert len(re.findall(r'src="data:image/svg\+xml;base64,', report)) >= 1
        assert not re.findall(r'(?:src|href)="(?!data:)', report)

    def test_classes_in_place_of_ages_pass(self, write_examples, job):
        classes = {name: faces(150, age=None, age_class="YOUNG") for name in ("train", "validation", "test")}
        task = job(write_examples(classes))
        counts = run(settings(), task)
        assert (counts["anomalies"], counts["without_labels"]) == (0, 0)
        assert "YOUNG" in (task.output / "report.html").read_text()

    def test_examples_that_teach_nothing_are_counted(self, write_examples, job):
        task = job(write_examples({"train": faces(50) + [face(900 + n, age=None, gender=None) for n in range(7)]}))
        counts = run(settings(), task)
        assert (counts["anomalies"], counts["without_labels"]) == (0, 7)
        assert read(task)["without_labels"] == {"train": 7, "validation": 0, "test": 0}

    def test_progress_ends_at_the_number_of_examples(self, write_examples, job):
        task, reported = job(write_examples()), []
        task.tracker.progress = lambda *values: reported.append(values)
        run(settings(), task)
        assert reported[-1] == (120, 120, "examples")


BROKEN: dict[str, tuple[Callable[[], FaceExample | bytes] | None, str]] = {
    "too old": (
        lambda: face(1, age=127),
        "face/age: 2 of 42 examples have a value above 100, the highest allowed: 127",
    ),
    "not born": (lambda: face(1, age=-1), "face/age: 2 of 42 examples have a value below 0, the lowest allowed: -1"),
    "age as float": (None, "face/age: 42 of 42 examples have it as FLOAT, where the schema wants INT"),
    "age as text": (None, "face/age: 42 of 42 examples have it as STRING, where the schema wants INT"),
    "two ages": (
        lambda: raw(face(1), face__age=[20, 30]),
        "face/age: 2 of 42 examples have several values where one is expected: 20, 30",
    ),
    "age without value": (lambda: raw(face(1), face__age=[]), "face/age: 2 of 42 examples have it without a value"),
    "other gender": (
        lambda: face(1, gender="woman"),
        "face/gender: 2 of 42 examples have a value other than female or male: woman",
    ),
    "gender as number": (None, "face/gender: 42 of 42 examples have it as INT, where the schema wants BYTES"),
    "gender not text": (
        lambda: raw(face(1), face__gender=[b"m\xe4nnlich"]),
        "face/gender: 2 of 42 examples have a value that is not UTF-8 text: m\\xe4nnlich",
    ),
    "no picture": (lambda: raw(face(1), image__encoded=None), "image/encoded: 2 of 42 examples lack it"),
    "no person": (lambda: raw(face(1), person__id=None), "person/id: 2 of 42 examples lack it"),
    "two persons": (lambda: raw(face(1), person__id=[b"a", b"b"]), "person/id: 2 of 42 examples have several values"),
    "no path": (lambda: raw(face(1), photo__path=None), "photo/path: 2 of 42 examples lack it"),
    "nobody's": (None, "person/id: 42 of 42 examples lack it"),
    "huge picture": (lambda: face(1, height=20000), "image/height: 2 of 42 examples have a value above 1024"),
    "score not a number": (
        lambda: face(1, score=float("nan")),
        "face/score: 2 of 42 examples have a value that is not a number",
    ),
    "no face found": (lambda: face(1, score=float("-inf")), "face/score: 2 of 42 examples have an infinite value"),
    "negative fold": (lambda: face(1, fold=-3), "split/fold: 2 of 42 examples have a value below 0"),
    "unknown feature": (
        lambda: raw(face(1), face__smile=[1]),
        "face/smile: 2 of 42 examples have it, but the schema does not know it",
    ),
}
WHOLLY_BROKEN: dict[str, dict[str, Any]] = {
    "age as float": {"face__age": [31.5]},
    "age as text": {"face__age": [b"31"]},
    "gender as number": {"face__gender": [1]},
    "nobody's": {"person__id": None},
}


class TestAnomalies:
    @pytest.mark.parametrize("case", BROKEN)
    def test_each_is_found_and_told(self, case, write_examples, job):
        make, sentence = BROKEN[case]
        test = [*faces(40), make(), make()] if make else [raw(example, **WHOLLY_BROKEN[case]) for example in faces(42)]
        task = job(write_examples({"test": test}))
        with pytest.raises(VisageError) as caught:
            run(settings(), task)
        assert f"- test, {sentence}" in caught.value.message
        assert caught.value.exit_code == 1
        assert len(read(task)["anomalies"]) == 1, "one thing that is wrong is told once"

    def test_numbers_written_as_text_are_held_against_their_domain_too(self, write_examples, job):
        task = job(write_examples({"test": [raw(face(n), face__age=[b"300" if n else b"-1"]) for n in range(42)]}))
        with pytest.raises(VisageError) as caught:
            run(settings(), task)
        assert "face/age: 42 of 42 examples have it as STRING, where the schema wants INT" in caught.value.message
        assert "face/age: 41 of 42 examples have a value above 100, the highest allowed: 300" in caught.value.message
        assert "face/age: 1 of 42 examples have a value below 0, the lowest allowed: -1" in caught.value.message

    def test_words_that_a_schema_allows_within_a_feature_count_as_those_beside_it(
        self, write_examples, job, edited_schema
    ):
        schema = edited_schema('domain: "gender"', 'string_domain { value: "female" value: "male" }')
        task = job(write_examples({"test": [*faces(40), face(1, gender="woman")]}))
        with pytest.raises(VisageError) as caught:
            run(settings(f"validation.schema_file={schema}"), task)
        assert "face/gender: 1 of 41 examples have a value other than female or male: woman" in caught.value.message

    def test_the_message_names_photos_and_the_way_on(self, write_examples, job):
        task = job(write_examples({"train": faces(40) + [face(n, age=127) for n in range(501, 506)]}, shards=1))
        with pytest.raises(VisageError) as caught:
            run(settings(), task)
        assert "(photos: 01/501.jpg, 02/502.jpg, 03/503.jpg ...)" in caught.value.message
        assert "--set validation.on_anomaly=warn" in caught.value.hint
        assert str(task.output / "report.html") in caught.value.hint

    def test_they_only_warn_where_that_is_asked_for(self, write_examples, job, caplog):
        task = job(write_examples({"test": [*faces(40), face(1, age=127)]}))
        counts = run(settings("validation.on_anomaly=warn"), task)
        assert counts["anomalies"] == 1
        assert "above 100" in counts["warnings"][0]
        assert "above 100" in caplog.text
        assert (task.output / "statistics" / "test.pb").is_file()

    def test_a_split_without_examples(self, write_examples, job):
        with pytest.raises(VisageError, match="validation holds no examples"):
            run(settings(), job(write_examples({"validation": []})))

    def test_no_examples_at_all(self, write_examples, job):
        nothing: dict[str, list] = {"train": [], "validation": [], "test": []}
        task = job(write_examples(nothing))
        with pytest.raises(VisageError, match="train holds no examples"):
            run(settings(), task)
        assert (task.output / "report.html").is_file()


class TestUnreadableShards:
    def test_a_shard_is_missing(self, write_examples, job):
        folder = write_examples()
        (folder / "test/test-00001-of-00002.tfrecord").unlink()
        with pytest.raises(VisageError, match=r"test-00001-of-00002.tfrecord is missing"):
            run(settings(), job(folder))

    def test_a_shard_is_cut_short(self, write_examples, job):
        folder = write_examples()
        shard = folder / "test/test-00001-of-00002.tfrecord"
        shard.write_bytes(shard.read_bytes()[:-7])
        with pytest.raises(VisageError, match=r"test-00001-of-00002.tfrecord is damaged"):
            run(settings(), job(folder))

    def test_a_shard_has_lost_records(self, write_examples, job):
        folder = write_examples(shards=1)
        index = json.loads((folder / "index.json").read_text())
        index["train"][0]["examples"] = 41
        (folder / "index.json").write_text(json.dumps(index))
        with pytest.raises(VisageError, match="holds 40 examples, the index says 41"):
            run(settings(), job(folder))

    def test_a_record_is_no_example(self, write_examples, job):
        with pytest.raises(VisageError, match=r"train-00000-of-00002.tfrecord, records 0 to 20: Unable to parse"):
            run(settings(), job(write_examples({"train": [*faces(40), b"no protocol buffer"]})))

    @pytest.mark.parametrize("shards", [1, 2])
    def test_a_feature_changes_its_type(self, shards, write_examples, job):
        mixed = [face(1), raw(face(2), face__age=[31.5])]
        with pytest.raises(VisageError, match="face/age"):
            run(settings(), job(write_examples({"train": mixed}, shards=shards)))

    def test_no_index(self, write_examples, job):
        folder = write_examples()
        (folder / "index.json").unlink()
        with pytest.raises(VisageError, match="holds no examples"):
            run(settings(), job(folder))


class TestSkew:
    def test_ages_of_another_population(self, write_examples, job):
        draw = random.Random(7)
        young = [face(n, age=draw.randint(0, 20)) for n in range(200)]
        with pytest.raises(
            VisageError, match=r"test, face/age: unlike train, Jensen-Shannon divergence 0\.\d+, allowed 0.2"
        ) as caught:
            run(settings(), job(write_examples({"train": faces(400), "test": young})))
        assert "validation.on_skew=warn" in caught.value.hint

    def test_another_mixture_of_genders(self, write_examples, job):
        task = job(write_examples({"train": faces(400), "validation": faces(200, gender="male")}))
        counts = run(settings("validation.on_skew=warn"), task)
        assert counts["anomalies"] == 1
        assert re.match(
            r"validation, face/gender: unlike train, L-infinity distance 0\.\d+, allowed 0.2, by chance in fewer "
            r"than 1% of all cases \(100.0% male in validation; \d+\.\d% female, \d+\.\d% male in train\)",
            counts["warnings"][0],
        )

    def test_other_classes(self, write_examples, job):
        train = [face(n, age=None, age_class="YOUNG" if n % 2 else "OLD") for n in range(200)]
        task = job(write_examples({"train": train, "test": faces(150, age=None, age_class="YOUNG")}))
        with pytest.raises(VisageError, match=r"test, face/age_class: unlike train, L-infinity distance 0.5"):
            run(settings(), task)

    def test_few_examples_are_not_compared(self, write_examples, job):
        task = job(write_examples({"train": faces(400), "test": faces(99, gender="male")}))
        assert run(settings(), task)["anomalies"] == 0
        comparisons = [
            comparison
            for comparison in read(task)["comparisons"]
            if comparison["split"] == "test" and comparison["feature"] == "face/gender"
        ]
        assert comparisons[0]["distance"] is None
        assert comparisons[0]["detail"] == "not compared: 99 labels in test, 400 in train, 100 needed in both"

    def test_the_distance_is_the_largest_difference_of_a_share(self, write_examples, job, edited_schema):
        half = [face(n, gender="male" if n % 2 else "female") for n in range(200)]
        quarter = [face(n, gender="male" if n % 4 else "female") for n in range(200)]
        schema = edited_schema(SKEW_OF_GENDER.format(0.2), SKEW_OF_GENDER.format(0.26))
        task = job(write_examples({"train": half, "test": quarter}))
        run(settings(f"validation.schema_file={schema}"), task)
        comparisons = [
            comparison
            for comparison in read(task)["comparisons"]
            if comparison["split"] == "test" and comparison["feature"] == "face/gender"
        ]
        assert comparisons[0]["distance"] == pytest.approx(0.25)


class TestThresholdsOfTheSchema:
    """How far apart is too far stands in the schema, and nowhere else."""

    @pytest.fixture
    def examples(self, write_examples) -> Path:
        """Train has women and men, test nearly a third more men."""
        half = [face(n, gender="male" if n % 2 else "female") for n in range(200)]
        most = [face(n, gender="male" if n % 5 else "female") for n in range(200)]
        return write_examples({"train": half, "test": most})

    @pytest.mark.parametrize(("threshold", "warnings"), [(0.31, 0), (0.29, 1)])
    def test_they_decide_a_warning(self, threshold, warnings, examples, job, edited_schema):
        schema = edited_schema(SKEW_OF_GENDER.format(0.2), SKEW_OF_GENDER.format(threshold))
        counts = run(settings(f"validation.schema_file={schema}", "validation.on_skew=warn"), job(examples))
        assert len(counts["warnings"]) == warnings
        assert all(f"L-infinity distance 0.300, allowed {threshold}" in warning for warning in counts["warnings"])

    def test_a_feature_without_a_comparator_is_not_compared(self, examples, job, edited_schema):
        task, schema = job(examples), edited_schema(SKEW_OF_GENDER.format(0.2), 'domain: "gender"')
        run(settings(f"validation.schema_file={schema}"), task)
        assert {comparison["feature"] for comparison in read(task)["comparisons"] if comparison["kind"] == "skew"} == {
            "face/age"
        }

    def test_any_feature_is_compared_by_the_measure_that_it_names(self, examples, job, edited_schema):
        by_divergence = SKEW_OF_GENDER.format(0.2).replace("infinity_norm", "jensen_shannon_divergence")
        scores = "skew_comparator { jensen_shannon_divergence { threshold: 0.9 } }"
        of_score = "float_domain { disallow_nan: true disallow_inf: true }"
        schema = edited_schema(SKEW_OF_GENDER.format(0.2), by_divergence, of_score, f"{of_score} {scores}")
        task = job(examples)
        run(settings(f"validation.schema_file={schema}"), task)
        comparisons = {
            comparison["feature"]: comparison
            for comparison in read(task)["comparisons"]
            if comparison["split"] == "test"
        }
        assert list(comparisons) == ["face/age", "face/gender", "face/score"]
        assert (
            comparisons["face/gender"]["measure"] == comparisons["face/score"]["measure"] == "Jensen-Shannon divergence"
        )
        assert 0 < comparisons["face/gender"]["distance"] < 0.2
        assert comparisons["face/score"]["threshold"] == 0.9
        assert "years" not in comparisons["face/score"]["detail"]

    @pytest.mark.parametrize("kind", ["skew", "drift"])
    def test_settings_that_were_for_it_say_where_it_stands_now(self, kind):
        with pytest.raises(
            VisageError, match=f"{kind} is allowed stands in the schema, as a feature's {kind}_comparator"
        ):
            settings(f"validation.{kind}.age=0.3")

    def test_other_thresholds_make_another_artifact(self, examples, edited_schema):
        before = edited_schema(SKEW_OF_GENDER.format(0.2), SKEW_OF_GENDER.format(0.3))
        chosen = settings(f"validation.schema_file={before}")
        identity = of_step(STEP, chosen, {"ingest": examples})
        before.write_text(before.read_text().replace("0.3", "0.31"))
        changed = of_step(STEP, chosen, {"ingest": examples})
        assert changed.changes(identity.as_json()) == {"files": "validation.schema_file"}

    def test_the_project_s_own_schema_counts_by_its_content(self):
        files = project_files(Path(STEP.run.__code__.co_filename))
        assert place_of(None) in data_files(files)


class TestDrift:
    @pytest.fixture
    def reference(self, write_examples, job, tmp_path) -> Path:
        """Statistics of a run on young people."""
        draw = random.Random(7)
        young = [face(n, age=draw.randint(0, 30)) for n in range(400)]
        description = described.describe(*_only_split(write_examples, young), load_schema())
        path = tmp_path / "train.pb"
        path.write_bytes(description.statistics.SerializeToString())
        return path

    def test_it_warns_with_numbers(self, reference, write_examples, job):
        task = job(write_examples({"train": faces(400)}))
        counts = run(settings(f"validation.reference={reference}"), task)
        assert counts["compared_with"] == str(reference)
        assert counts["drift_age"] > 0.3
        assert counts["drift_gender"] < 0.2
        assert counts["warnings"] == [read(task)["anomalies"][0]["message"]]
        assert re.match(
            rf"train, face/age: unlike {reference}, Jensen-Shannon divergence 0\.\d+, allowed 0.1, by chance in "
            r"fewer than 1% of all cases \(mean 4\d\.\d, deviation \d+\.\d years in train; mean 1\d\.\d",
            counts["warnings"][0],
        )

    def test_it_fails_the_run_where_that_is_asked_for(self, reference, write_examples, job):
        with pytest.raises(VisageError, match="face/age: unlike") as caught:
            run(
                settings(f"validation.reference={reference}", "validation.on_drift=fail"),
                job(write_examples({"train": faces(400)})),
            )
        assert "validation.on_drift=warn" in caught.value.hint

    def test_the_same_data_do_not_drift(self, write_examples, job, tmp_path):
        description = described.describe(*_only_split(write_examples, faces(400)), load_schema())
        (tmp_path / "train.pb").write_bytes(description.statistics.SerializeToString())
        counts = run(
            settings(f"validation.reference={tmp_path / 'train.pb'}"), job(write_examples({"train": faces(400)}))
        )
        assert (counts["anomalies"], counts["drift_age"], counts["drift_gender"]) == (0, 0, 0)

    def test_it_is_from_what_the_champion_was_trained_on(
        self, reference, write_examples, job, tmp_path, empty_registry
    ):
        files = tmp_path / "champion"
        for name in ("estimator", "statistics"):
            (files / name).mkdir(parents=True)
        (files / "estimator" / "model.keras").write_bytes(b"nobody loads it here")
        shutil.copy(reference, files / "statistics" / "train.pb")
        task = job(write_examples({"train": faces(400)}))
        of_the_champion = {name: files / name for name in ("estimator", "statistics")}
        with champion_of(of_the_champion, files, empty_registry) as version:
            counts = run(settings(), replace(task, champion=version))
            assert counts["compared_with"] == "visage/1"
            assert "train, face/age: unlike visage/1, Jensen-Shannon divergence 0." in counts["warnings"][0]
            assert run(settings(), task)["compared_with"] == "no champion"

    @pytest.mark.parametrize("content", [None, b"no statistics", b""])
    def test_a_reference_that_is_none(self, content, write_examples, job, tmp_path):
        if content is not None:
            (tmp_path / "train.pb").write_bytes(content)
        with pytest.raises(VisageError, match=r"train.pb holds no statistics"):
            run(settings(f"validation.reference={tmp_path / 'train.pb'}"), job(write_examples()))


def _only_split(write_examples, examples) -> tuple[Path, list]:
    folder = write_examples({"train": examples})
    shards = read_index(folder)["train"]
    return folder, shards


def test_statistics_of_many_batches_are_those_of_tfdv_itself(write_examples):
    import tensorflow_data_validation as tfdv

    examples = [face(n, score=None if n < 1200 else 2.5, age=None if n % 3 else n % 90) for n in range(2300)]
    folder, shards = _only_split(write_examples, examples)
    description = described.describe(folder, shards, load_schema())
    theirs = tfdv.generate_statistics_from_tfrecord(
        str(folder / "train/*.tfrecord"), stats_options=tfdv.StatsOptions(schema=load_schema())
    )
    assert description.examples == theirs.datasets[0].num_examples == 2300
    for name in ("face/age", "face/score", "face/gender", "image/encoded", "photo/path"):
        own: Any = described.feature(description.statistics, name)
        expected: Any = described.feature(theirs, name)
        assert described.common(own).num_non_missing == described.common(expected).num_non_missing, name
        assert own.num_stats.mean == pytest.approx(expected.num_stats.mean), name
        assert own.num_stats.std_dev == pytest.approx(expected.num_stats.std_dev), name
    assert described.shares(described.feature(description.statistics, "face/gender")) == pytest.approx(
        described.shares(described.feature(theirs, "face/gender"))
    )


def test_the_step_shows_the_face_of_a_step():
    assert STEP.name == "validate"
    assert STEP.inputs == ("ingest",)


class TestAlone:
    def test_sound_data_become_an_artifact(self, write_examples, tmp_path, capsys):
        command = ["--input", "ingest", str(write_examples()), "--out", str(tmp_path / "validated")]
        assert main(STEP, command) == 0
        assert (tmp_path / "validated" / "manifest.json").is_file()
        assert "examples: 120" in capsys.readouterr().out

    def test_anomalies_end_it_with_one_message(self, write_examples, tmp_path, capsys):
        broken = str(write_examples({"test": [*faces(40), face(1, age=127)]}))
        assert main(STEP, ["--input", "ingest", broken, "--out", str(tmp_path / "validated")]) == 1
        printed = capsys.readouterr().err
        assert "visage: The examples are not as they should be:\n- test, face/age: 1 of 41 examples" in printed
        assert "Traceback" not in printed
        assert not (tmp_path / "validated").exists()
