"""The score step on made-up photos and a registered, untrained model."""

import hashlib
import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from components import registry
from components.beam_job import first_look
from components.estimator import precision, saved
from components.photo import PhotoSettings, crop_face, open_photo
from components.score import STEP, parts
from components.score.settings import Settings
from components.score.work import score_part
from components.step import StepContext, Tracker, execute
from schemas.error import VisageError
from schemas.reject import Reject, read_rejects
from schemas.score import arrow_schema
from tests.components.score import made_photos
from tests.components.score.made_photos import jpeg, tarred, zipped


def settings(*photos: Path, workers: int = 2, **score) -> Settings:
    values = {
        "photos": [str(path) for path in photos],
        "model": "visage@champion",
        "faces": "whole",
        "precision": "float32",
    } | score
    return Settings.model_validate({"score": values, "beam": {"workers": workers}})


def score(output: Path, *photos: Path, **changed) -> dict:
    """Run the step; gives its summary."""
    output.mkdir(exist_ok=True)
    STEP.run(settings(*photos, **changed), StepContext({}, output))
    return json.loads((output / "summary.json").read_text())


def rows(output: Path) -> pd.DataFrame:
    return pq.read_table(output / "scores").to_pandas()


class TestWhatComesOut:
    @pytest.fixture(scope="class")
    @staticmethod
    def done(tmp_path_factory, registered) -> Path:
        """A job over a folder, a zip with defects and a packed tar."""
        root = tmp_path_factory.mktemp("done")
        made_photos.folder(root / "faces", 30)
        zipped(
            root / "some.zip",
            {
                **{f"{n}.jpg": jpeg(n) for n in range(100, 120)},
                "broken.jpg": jpeg(1)[:300],
                "empty.jpg": b"",
                "small.jpg": jpeg(1, side=10),
                "text.txt": b"hello",
                "../escape.jpg": jpeg(2),
                "inner.zip": b"PK",
            },
        )
        tarred(root / "some.tar.gz", {f"{n}.jpg": jpeg(n) for n in range(200, 225)}, "gz")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", registered)
            patch.setattr("components.score.plan.PART", 7)
            score(root / "out", root / "faces", root / "some.zip", root / "some.tar.gz", pictures=3)
        return root / "out"

    def test_every_photo_is_in_exactly_one_place(self, done):
        summary = json.loads((done / "summary.json").read_text())
        rejects = read_rejects(done / "rejects.parquet")
        assert summary["photos"] == 30 + 26 + 25 == len(rows(done)) + len(rejects)
        assert (summary["scored"], summary["without_face"], summary["rejected"]) == (75, 0, 6)
        places = [(row.archive, row.path) for row in rows(done).itertuples()]
        places += [(reject.source, reject.path) for reject in rejects]
        assert len(set(places)) == 81

    def test_rejects_carry_the_reason(self, done):
        reasons = {reject.path: reject.reason for reject in read_rejects(done / "rejects.parquet")}
        assert reasons == {
            "broken.jpg": "photo_unreadable",
            "empty.jpg": "not_a_photo",
            "small.jpg": "photo_too_small",
            "text.txt": "not_a_photo",
            "../escape.jpg": "unsafe_path",
            "inner.zip": "not_a_photo",
        }
        assert json.loads((done / "summary.json").read_text())["rejects"] == Counter(reasons.values())

    def test_a_row_has_what_the_model_says_and_where_it_comes_from(self, done, model):
        assert pq.read_schema(next((done / "scores").iterdir())).equals(arrow_schema())
        row = rows(done).iloc[0]
        photo = PhotoSettings(size=64)
        files = registry.download(registry.resolve(model))
        face = np.asarray(crop_face(open_photo(jpeg(0), photo), None, photo))
        expected = saved.load(files / "estimator").predict_images([face])
        assert row["path"] == "0/0000.jpg" and row["archive"].endswith("/faces")
        assert row["sha256"] == hashlib.sha256(jpeg(0)).hexdigest()
        assert (row["face_index"], row["face_count"], row["box_right"], row["box_bottom"]) == (0, 1, 48, 48)
        assert row["age"] == pytest.approx(expected.age[0], abs=1e-3)
        assert row["gender"] == ("female" if expected.female[0] >= 0.5 else "male")
        assert row["gender_probability"] == pytest.approx(max(expected.female[0], 1 - expected.female[0]), abs=1e-5)
        assert (row["model_name"], row["model_version"], row["precision"]) == ("visage", "1", "float32")
        assert np.isnan(row["detection_score"]) and row["age_low"] <= row["age"] <= row["age_high"]

    def test_the_summary_counts_who_was_found_and_says_how_they_differ_from_the_training_data(self, done):
        summary = json.loads((done / "summary.json").read_text())
        scores = rows(done)
        assert summary["age_mean"] == pytest.approx(scores["age"].mean(), abs=0.01)
        assert sum(summary["ages"].values()) == 75 == sum(summary["genders"].values())
        assert summary["model"] == "visage/1" and summary["photos_per_second"] > 0
        assert summary["beam"]["photos"] == 81 and summary["beam"]["faces_a_part"]["sum"] == 75
        assert summary["drift"] == []  # fewer faces than a distance can be told from

    def test_the_page_shows_some_faces(self, done):
        text = (done / "summary.html").read_text()
        assert text.count("data:image/jpeg") == 3 and "unsafe_path" in text

    def test_nothing_of_the_work_is_left(self, done):
        assert sorted(path.name for path in done.iterdir()) == [
            "rejects.parquet",
            "scores",
            "summary.html",
            "summary.json",
        ]


class TestDrift:
    def test_people_unlike_those_of_the_training_are_warned_of_with_numbers(self, model, tmp_path):
        made_photos.folder(tmp_path / "faces", 120)
        summary = score(tmp_path / "out", tmp_path / "faces")
        age, gender = summary["drift"]
        # A model with random weights finds everybody of the same age and gender, the training data has all of them.
        assert age["distance"] > 0.3 and gender["distance"] > 0.2
        assert "ages part from the training data: Jensen-Shannon divergence" in summary["warnings"][0]
        assert "female 75%, male 25%" in summary["warnings"][1]

    def test_thresholds_say_what_is_warned_of(self, model, tmp_path):
        made_photos.folder(tmp_path / "faces", 120)
        assert score(tmp_path / "out", tmp_path / "faces", drift_age=1, drift_gender=1)["warnings"] == []


class TestSameRows:
    def test_whatever_the_number_of_workers(self, model, small_parts, tmp_path):
        made_photos.folder(tmp_path / "faces", 60)
        tarred(tmp_path / "more.tar.gz", {f"{n}.jpg": jpeg(n) for n in range(100, 150)}, "gz")
        tables = []
        for workers in (1, 2, 5):
            score(tmp_path / f"out{workers}", tmp_path / "faces", tmp_path / "more.tar.gz", workers=workers)
            tables.append(rows(tmp_path / f"out{workers}").drop(columns="scored_at"))
        pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
        pd.testing.assert_frame_equal(tables[0], tables[2], check_exact=True)


class TestPrecision:
    def test_bfloat16_moves_the_figures_by_little(self, model, tmp_path):
        made_photos.folder(tmp_path / "faces", 20)
        for dtype in ("float32", "bfloat16"):
            score(tmp_path / dtype, tmp_path / "faces", precision=dtype)
        exact, half = (rows(tmp_path / dtype) for dtype in ("float32", "bfloat16"))
        assert 0 < (exact["age"] - half["age"]).abs().mean() < 0.1
        assert list(exact["sha256"]) == list(half["sha256"])

    def test_auto_is_decided_when_the_job_is_begun_and_stays_so_when_it_goes_on(
        self, model, small_parts, tmp_path, monkeypatch
    ):
        made_photos.folder(tmp_path / "faces", 20)
        _machine_is_fastest_in(monkeypatch, "bfloat16")
        _interrupt_after(monkeypatch, parts=1)
        with pytest.raises(RuntimeError, match="interrupted"):
            score(tmp_path / "out", tmp_path / "faces", workers=1, precision="auto")
        _let_go_on(monkeypatch)
        _machine_is_fastest_in(monkeypatch, "float32")
        assert score(tmp_path / "out", tmp_path / "faces", precision="auto")["precision"] == "bfloat16"
        assert set(rows(tmp_path / "out")["precision"]) == {"bfloat16"}
        score(tmp_path / "half", tmp_path / "faces", precision="bfloat16")
        np.testing.assert_array_equal(rows(tmp_path / "out")["age"], rows(tmp_path / "half")["age"])
        assert score(tmp_path / "exact", tmp_path / "faces", precision="auto")["precision"] == "float32"


def _machine_is_fastest_in(monkeypatch, fastest: str) -> None:
    monkeypatch.setattr(precision, "chosen", lambda dtype: fastest if dtype == "auto" else dtype)


class TestTheModel:
    def test_the_version_that_register_names_is_used_by_itself(self, model, tmp_path, output):
        (tmp_path / "register").mkdir()
        (tmp_path / "register" / "registered.json").write_text(json.dumps({"name": "visage", "scoring_version": "1"}))
        made_photos.folder(tmp_path / "faces", 2)
        STEP.run(settings(tmp_path / "faces", model=""), StepContext({"register": tmp_path / "register"}, output))
        assert set(rows(output)["model_version"]) == {"1"}

    def test_no_model_is_a_usage_error(self, tmp_path, output, model):
        with pytest.raises(VisageError, match="No model to score with is named") as raised:
            STEP.run(settings(tmp_path, model=""), StepContext({}, output))
        assert raised.value.exit_code == 2

    def test_an_interrupted_job_goes_on_with_the_version_it_began_with(self, model, small_parts, tmp_path, monkeypatch):
        made_photos.folder(tmp_path / "faces", 20)
        _interrupt_after(monkeypatch, parts=1)
        with pytest.raises(RuntimeError, match="interrupted"):
            score(tmp_path / "out", tmp_path / "faces", workers=1)
        _let_go_on(monkeypatch)
        resolve = registry.resolve
        references: list[str] = []

        def heard(text: str) -> registry.ModelVersion:
            references.append(text)
            return resolve("visage/1")

        monkeypatch.setattr(registry, "resolve", heard)
        score(tmp_path / "out", tmp_path / "faces", model="visage@whatever")
        assert references == ["visage/1"]


def kept_parts(output: Path) -> list[Path]:
    """The files of the parts that an interrupted job has done."""
    return sorted(output.glob("staging/*/parts/*.arrow"))


def _interrupt_after(monkeypatch, parts: int) -> None:
    """Let the job fail once some parts are done."""
    done: list[int] = []

    def until_interrupted(*arguments):
        if len(done) == parts:
            raise RuntimeError("interrupted")
        done.append(1)
        return score_part(*arguments)

    monkeypatch.setattr("components.score.job.score_part", until_interrupted)


def _let_go_on(monkeypatch) -> None:
    monkeypatch.setattr("components.score.job.score_part", score_part)


class TestGoingOn:
    def test_finished_parts_are_not_scored_again(self, model, small_parts, tmp_path, monkeypatch):
        made_photos.folder(tmp_path / "faces", 40)
        score(tmp_path / "whole", tmp_path / "faces", workers=1)
        _interrupt_after(monkeypatch, parts=3)
        with pytest.raises(RuntimeError, match="interrupted"):
            score(tmp_path / "out", tmp_path / "faces", workers=1)
        modified = {path: path.stat().st_mtime_ns for path in kept_parts(tmp_path / "out")}
        assert len(modified) == 3
        # Photos of finished parts are not looked at again: they may even be gone.
        shutil.rmtree(tmp_path / "faces" / "0")
        _let_go_on(monkeypatch)
        summary = score(tmp_path / "out", tmp_path / "faces", workers=1)
        assert summary["photos"] == 40 and summary["rejected"] == 0
        same = ["archive", "path", "age", "gender", "sha256"]
        pd.testing.assert_frame_equal(rows(tmp_path / "out")[same], rows(tmp_path / "whole")[same])

    def test_a_job_that_was_killed_after_its_summary_only_clears_up(self, model, tmp_path):
        made_photos.folder(tmp_path / "faces", 5)
        first = score(tmp_path / "out", tmp_path / "faces")
        (tmp_path / "out" / "staging").mkdir()
        assert score(tmp_path / "out", tmp_path / "nowhere") == first
        assert not (tmp_path / "out" / "staging").exists()

    def test_two_jobs_do_not_write_to_one_place(self, model, tmp_path):
        made_photos.folder(tmp_path / "faces", 2)
        first = settings(tmp_path / "faces")

        def meanwhile(*_) -> dict:
            execute(replace(STEP, inputs=()), first, {}, tmp_path / "out", Tracker())
            return {}

        with pytest.raises(VisageError, match="Another job is writing to"):
            execute(replace(STEP, inputs=(), run=meanwhile), first, {}, tmp_path / "out", Tracker())

    def test_what_another_version_of_visage_began_is_done_anew_and_that_is_said(self, model, tmp_path, caplog):
        made_photos.folder(tmp_path / "faces", 5)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "job.json").write_text('{"model": "visage/1", "started": "2026-01-01T00:00:00+00:00"}')
        with caplog.at_level("WARNING"):
            assert score(tmp_path / "out", tmp_path / "faces")["photos"] == 5
        assert "another version of Visage began: all is done anew" in caplog.text
        assert not (tmp_path / "out" / "job.json").exists()

    def test_what_was_begun_for_another_artifact_is_not_gone_on_with(
        self, model, small_parts, output, tmp_path, monkeypatch, caplog
    ):
        made_photos.folder(tmp_path / "faces", 20)
        _interrupt_after(monkeypatch, parts=1)
        with pytest.raises(RuntimeError, match="interrupted"):
            STEP.run(settings(tmp_path / "faces", workers=1), StepContext({}, output, fingerprint="one"))
        _let_go_on(monkeypatch)
        made_photos.folder(tmp_path / "faces", 5, first=100)
        with caplog.at_level("WARNING"):
            counts = STEP.run(settings(tmp_path / "faces"), StepContext({}, output, fingerprint="two"))
        assert counts["photos"] == 25
        assert "is of other photos, settings or code: all is done anew" in caplog.text


class TestOnACluster:
    def test_workers_look_first_whether_they_reach_what_the_job_reads(self, model, output, tmp_path, monkeypatch):
        calls: list[tuple] = []
        start = first_look.start

        def noting(*arguments):
            calls.append(arguments)
            return start(*arguments)

        monkeypatch.setattr(first_look, "start", noting)
        made_photos.folder(tmp_path / "faces", 2)
        zipped(tmp_path / "more.zip", {"1.jpg": jpeg(1)})
        (tmp_path / "list.txt").write_text("/no/such/folder/1.jpg\n")
        monkeypatch.chdir(tmp_path)
        STEP.run(settings(Path("faces"), Path("more.zip"), Path("list.txt")), StepContext({}, output))
        ((_, step, room, places),) = calls
        assert step == "score" and room.startswith(f"{output}/staging/")
        assert places == [str(tmp_path / "faces"), str(tmp_path / "more.zip")]


class TestTrouble:
    def test_a_folder_without_photos_is_one_message(self, model, tmp_path):
        (tmp_path / "faces").mkdir()
        with pytest.raises(VisageError, match="There is no photo in"):
            score(tmp_path / "out", tmp_path / "faces")

    def test_only_rejects_are_a_result_too(self, model, tmp_path):
        (tmp_path / "faces").mkdir()
        (tmp_path / "faces" / "a.txt").write_text("hello")
        summary = score(tmp_path / "out", tmp_path / "faces")
        assert (summary["photos"], summary["rejected"], summary["age_mean"]) == (1, 1, None)
        assert len(rows(tmp_path / "out")) == 0
        assert read_rejects(tmp_path / "out" / "rejects.parquet") == [
            Reject(str(tmp_path / "faces"), "a.txt", "", "not_a_photo", "text")
        ]

    def test_a_folder_whose_name_is_not_utf8_is_scored_and_told_as_it_can_be_written(self, model, tmp_path):
        folder = tmp_path / os.fsdecode(b"caf\xe9")
        folder.mkdir()
        (folder / "1.jpg").write_bytes(jpeg(1))
        summary = score(tmp_path / "out", folder)
        assert (summary["scored"], summary["inputs"]) == (1, [rf"{tmp_path}/caf\xe9"])
        assert list(rows(tmp_path / "out")["archive"]) == [rf"{tmp_path}/caf\xe9"]

    def test_a_full_disk_is_one_message_and_the_job_goes_on_later(self, model, small_parts, tmp_path, monkeypatch):
        made_photos.folder(tmp_path / "faces", 30)
        keep = parts.keep
        numbers: list[int] = []

        def until_full(folder, number, part):
            if len(numbers) == 2:
                raise OSError(28, "No space left on device", folder)
            numbers.append(number)
            keep(folder, number, part)

        monkeypatch.setattr(parts, "keep", until_full)
        with pytest.raises(VisageError, match="cannot be written to: No space left on device"):
            score(tmp_path / "out", tmp_path / "faces")
        monkeypatch.setattr(parts, "keep", keep)
        assert score(tmp_path / "out", tmp_path / "faces")["photos"] == 30

    def test_a_registry_that_is_away_is_one_message(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        with pytest.raises(VisageError, match=r"MLflow at http://127.0.0.1:9 does not answer"):
            score(tmp_path / "out", tmp_path)

    def test_the_step_runs_as_a_step_and_links_its_mlflow_run_to_the_version(self, model, tmp_path):
        made_photos.folder(tmp_path / "faces", 3)
        with mlflow.start_run() as run:
            step = replace(STEP, inputs=())
            manifest = execute(step, settings(tmp_path / "faces"), {}, tmp_path / "artifact", Tracker())
        assert manifest.counts["scored"] == 3 and manifest.counts["model"] == "visage/1"
        linked = mlflow.get_run(run.info.run_id).inputs.model_inputs  # type: ignore[union-attr]
        assert [model_input.model_id for model_input in linked] == [registry.resolve(model).model_id]
