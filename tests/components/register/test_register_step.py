"""The register step on a made-up model and a registry in SQLite."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components import registry
from components.estimator import saved
from components.photo import PhotoSettings, crop_face, open_photo
from components.register import STEP
from components.register.settings import Settings
from components.registry.learned_from import LearnedFrom
from components.step import StepContext, Tracker, execute
from schemas.error import VisageError
from schemas.example import FaceExample
from tests.components.register import made_up


def job(made: Path, output: Path, fingerprint: str = "job-1", **around: Any) -> StepContext:
    output.mkdir()
    return StepContext({step: made / step for step in STEP.inputs}, output, fingerprint=fingerprint, **around)


def register(made: Path, output: Path, fingerprint: str = "job-1", **around: Any) -> dict:
    STEP.run(Settings(), job(made, output, fingerprint, **around))
    return json.loads((output / "registered.json").read_text())


def saying(made: Path, folder: Path, **changed) -> Path:
    """The same artifacts, but evaluate says something else."""
    shutil.copytree(made, folder)
    (folder / "evaluate" / "metrics.json").write_text(json.dumps(made_up.metrics(**changed)))
    return folder


def face(seed: int, side: int = 80) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (10, 10, 3), np.uint8)
    held = io.BytesIO()
    Image.fromarray(noise).resize((side, side)).save(held, "JPEG")
    return held.getvalue()


@pytest.fixture
def served(registered, monkeypatch):
    """The registered model as MLflow loads it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
    return mlflow.pyfunc.load_model("models:/visage@champion")


class TestWhatIsRegistered:
    def test_a_blessed_model_becomes_champion_with_its_lineage_card_and_signature(self, made, store):
        registered = register(made, store / "out", recipe="default", commit="c0ffee")
        assert registered | {"run_id": ""} == {
            "name": "visage",
            "version": "1",
            "alias": "champion",
            "champion_version": "1",
            "scoring_version": "1",
            "model_uri": "models:/visage/1",
            "run_id": "",
        }
        version = registry.champion("visage")
        assert version and version.tags["visage.recipe"] == "default" and version.tags["visage.git_commit"] == "c0ffee"
        assert version.tags["visage.data_fingerprint"] == "ingest-fingerprint"
        assert version.tags["visage.input.train"] == "train-fingerprint"
        assert version.tags["age_mae"] == "5.25"
        assert "5.25 years (baseline 12.00 years)" in version.description
        model = mlflow.models.get_model_info(version.uri)
        assert model.signature.inputs.input_names() == ["image", "path"]
        assert model.signature.outputs.input_names()[:3] == ["age", "age_std", "age_low"]
        card = (store / "out" / "card.md").read_text()
        assert "| gender: female | 90 | 5.00 years | unknown | 90.0% |" in card and "c0ffee" in card

    def test_its_files_are_all_that_scoring_needs_and_none_is_a_pickle(self, registered, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
        files = registry.download(registry.resolve("visage@champion"))
        assert PhotoSettings.model_validate_json((files / "photo.json").read_text()) == PhotoSettings(size=64)
        assert (files / "statistics" / "train.pb").read_bytes() == made_up.training_statistics()
        assert saved.load(files / "estimator").size == made_up.SIZE
        assert not [path for path in files.parent.rglob("*") if path.suffix in (".pkl", ".pickle")]

    def test_the_active_run_of_mlflow_is_used_where_there_is_one(self, made, store):
        with mlflow.start_run() as run:
            registered = register(made, store / "out")
        assert registered["run_id"] == run.info.run_id
        assert mlflow.get_run(run.info.run_id).data.metrics["age_mae"] == 5.25


class TestAliases:
    def test_a_model_that_was_not_blessed_stays_a_challenger(self, made, store):
        worse = saying(made, store / "worse", blessed=False, reasons=["age MAE 9.0 is above 8.0"])
        registered = register(worse, store / "out")
        assert registered["alias"] == "challenger" and registered["champion_version"] is None
        assert registered["scoring_version"] == "1"

    def test_a_better_one_takes_the_champions_place_and_a_rollback_gives_it_back(self, made, store):
        register(made, store / "first")
        better = saying(made, store / "better", champion={"version": "1", "age_mae": 6.0, "gender_accuracy": 0.8})
        registered = register(better, store / "second", "job-2")
        assert registered["alias"] == "champion" and registered["champion_version"] == "2"
        assert registry.rollback("visage").version == "1"

    def test_one_that_was_evaluated_against_another_champion_does_not_take_its_place(self, made, store):
        register(made, store / "first")
        registered = register(made, store / "second", "job-2")  # knows of no champion
        assert registered["alias"] == "challenger" and registered["scoring_version"] == "1"
        tags = registry.resolve("visage/2").tags
        assert "evaluated against no champion, but the champion is now visage/1" in tags["visage.decided"]

    def test_of_two_that_were_blessed_against_the_same_champion_the_second_stays_a_challenger(
        self, made, store, monkeypatch
    ):
        """The second becomes champion after the first has looked and before it acts."""
        register(made, store / "first")
        better = saying(made, store / "better", champion={"version": "1"})
        look = registry.champion

        def look_and_be_late(name):
            held = look(name)
            if not (store / "third").exists():
                register(better, store / "third", "job-3")
            return held

        monkeypatch.setattr(registry, "champion", look_and_be_late)
        late = register(better, store / "second", "job-2")
        assert (late["alias"], late["champion_version"]) == ("challenger", "3")
        assert "the champion is now visage/3" in registry.resolve("visage/2").tags["visage.decided"]
        assert registry.rollback("visage").version == "1"

    def test_a_version_says_what_it_learned_from_and_which_is_the_best_so_far(self, made, store):
        best = {"age_mae": "self", "age_class_accuracy": "", "gender_accuracy": "1"}
        register(saying(made, store / "good", best=best), store / "out")
        version = registry.resolve("visage@champion")
        assert {name: version.tags[f"visage.best.{name}"] for name in best} == best
        learned_from = LearnedFrom.read(registry.download(version))
        assert learned_from is not None
        persons = made_up.PERSONS
        known = {
            split: learned_from.knows(FaceExample(b"", 1, 1, persons[split], "made", "", "another photo"))
            for split in persons
        }
        assert known == {"train": True, "validation": True, "test": False}


class TestRunAgain:
    def test_the_same_artifact_is_not_registered_twice(self, made, store):
        first = register(made, store / "first")
        assert register(made, store / "second") == first
        assert [version.version for version in registry.versions("visage")] == ["1"]
        assert (store / "second" / "card.md").read_text() == (store / "first" / "card.md").read_text()

    def test_a_kill_before_the_alias_is_mended_by_the_next_run(self, made, store, monkeypatch):
        monkeypatch.setattr(registry, "promote", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            register(made, store / "killed")
        monkeypatch.undo()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
        assert registry.champion("visage") is None
        assert register(made, store / "out")["alias"] == "champion"
        assert len(registry.versions("visage")) == 1

    def test_an_alias_that_a_person_has_moved_since_stays_where_it_is(self, made, store):
        register(made, store / "first")
        better = saying(made, store / "better", champion={"version": "1"})
        register(better, store / "second", "job-2")
        registry.rollback("visage")
        assert register(better, store / "again", "job-2")["champion_version"] == "1"


class TestTrouble:
    def test_a_missing_file_of_an_input_is_one_message(self, made, store):
        broken = store / "broken"
        shutil.copytree(made, broken)
        shutil.rmtree(broken / "train" / "estimator")
        with pytest.raises(VisageError, match="An input of register cannot be used"):
            register(broken, store / "out")

    def test_a_server_that_is_away_is_one_message(self, made, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
        with pytest.raises(VisageError, match=r"MLflow at http://127.0.0.1:9 does not answer.*refused") as raised:
            register(made, tmp_path / "out")
        assert "secret" not in str(raised.value)

    def test_the_step_runs_as_a_step(self, made, store):
        inputs = {step: made / step for step in STEP.inputs}
        manifest = execute(STEP, Settings(), inputs, store / "artifact", Tracker())
        assert manifest.counts == {"name": "visage", "version": "1", "alias": "champion", "champion": "1"}
        assert registry.find("visage", "visage.fingerprint", manifest.fingerprint)


class TestServed:
    def test_a_picture_gives_the_numbers_of_the_estimator_itself(self, served):
        photo = PhotoSettings(size=64)
        jpegs = [face(seed) for seed in range(3)]
        files = registry.download(registry.resolve("visage@champion"))
        cropped = [np.asarray(crop_face(open_photo(jpeg, photo), None, photo)) for jpeg in jpegs]
        wanted = saved.load(files / "estimator").predict_images(cropped)
        answer = served.predict(pd.DataFrame({"image": [base64.b64encode(jpeg).decode() for jpeg in jpegs]}))
        np.testing.assert_allclose(answer["age"], wanted.age, rtol=1e-5)
        np.testing.assert_allclose(answer["age_high"], wanted.age_high, rtol=1e-5)
        assert list(answer["gender"]) == ["female" if share >= 0.5 else "male" for share in wanted.female]
        assert answer["reject"].isna().all()

    def test_a_path_gives_the_same_as_the_bytes(self, served, tmp_path):
        (tmp_path / "face.jpg").write_bytes(face(5))
        answer = served.predict(
            pd.DataFrame(
                {"image": [base64.b64encode(face(5)).decode(), None], "path": [None, str(tmp_path / "face.jpg")]}
            )
        )
        assert answer["age"][0] == pytest.approx(answer["age"][1], abs=1e-4)

    def test_what_is_no_picture_costs_only_its_own_row(self, served):
        good = base64.b64encode(face(1)).decode()
        nothing = base64.b64encode(b"nothing").decode()
        answer = served.predict(pd.DataFrame({"image": ["no base64!", nothing, good]}))
        assert answer["reject"][0].startswith("not_a_photo: not base64")
        assert answer["reject"][1].startswith("not_a_photo")
        assert pd.isna(answer["reject"][2]) and answer["age"].isna().tolist() == [True, True, False]
        assert pd.isna(answer["gender"][0])

    @pytest.mark.slow
    def test_it_loads_where_the_project_is_not_installed(self, served, tmp_path):
        program = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "") + str(finder)]
import base64, mlflow, pandas, pathlib
model = mlflow.pyfunc.load_model("models:/visage@champion")
import components
assert "artifacts" in components.__file__, components.__file__
image = base64.b64encode(pathlib.Path("face.jpg").read_bytes()).decode()
print(model.predict(pandas.DataFrame({"image": [image]}))["age"][0])
"""
        (tmp_path / "face.jpg").write_bytes(face(5))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        wanted = served.predict(pd.DataFrame({"image": [base64.b64encode(face(5)).decode()]}))["age"][0]
        assert float(done.stdout.split()[-1]) == pytest.approx(wanted, abs=1e-4)
