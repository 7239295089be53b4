"""The register step on a made-up model and a registry in SQLite."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest

from components import registry
from components.estimator import saved
from components.photo import PhotoSettings
from components.register import STEP
from components.register.settings import Settings
from components.registry.learned_from import LearnedFrom
from components.report import markdown
from components.step import StepContext, Surroundings, Tracker, execute
from schemas.error import VisageError
from schemas.example import FaceExample
from tests.components.register import made_up


def job(model_artifacts: Path, output: Path, fingerprint: str = "job-1", **around: Any) -> StepContext:
    output.mkdir()
    return StepContext(
        {step: model_artifacts / step for step in STEP.inputs}, output, fingerprint=fingerprint, **around
    )


def register(model_artifacts: Path, output: Path, fingerprint: str = "job-1", **around: Any) -> dict:
    STEP.run(Settings(), job(model_artifacts, output, fingerprint, **around))
    return json.loads((output / "registered.json").read_text())


def saying(model_artifacts: Path, folder: Path, **changed) -> Path:
    """The same artifacts, but evaluate says something else."""
    shutil.copytree(model_artifacts, folder)
    (folder / "evaluate" / "metrics.json").write_text(json.dumps(made_up.metrics(**changed)))
    return folder


class TestWhatIsRegistered:
    def test_a_blessed_model_becomes_champion_with_its_lineage_card_and_signature(self, model_artifacts, store):
        registered = register(model_artifacts, store / "out", recipe="default", commit="c0ffee")
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
        row = ["age: mean absolute error, years", "5.25", "–", "12.00"]
        assert f"| {markdown.WIDE.join(row)} |" in version.description
        assert version.description.startswith("Estimates age")
        assert f"/models/{version.model_id}/artifacts" in version.description
        assert f"/runs/{version.run_id}/artifacts" in version.description
        model = mlflow.models.get_model_info(version.uri)
        assert model.signature.inputs.input_names() == ["image"]
        assert model.signature.outputs.input_names()[:3] == ["age", "age_std", "age_low"]
        card = (store / "out" / "card.md").read_text()
        assert "| gender: female | 90 | 5.00 | 0.900 |" in card and "c0ffee" in card

    def test_its_files_are_all_that_scoring_needs_and_none_is_a_pickle(self, registered, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
        files = registry.download(registry.resolve("visage@champion"))
        assert PhotoSettings.model_validate_json((files / "photo.json").read_text()) == PhotoSettings(size=64)
        assert (files / "statistics" / "train.pb").read_bytes() == made_up.training_statistics()
        assert saved.load(files / "estimator").size == made_up.SIZE
        assert not [path for path in files.parent.rglob("*") if path.suffix in (".pkl", ".pickle")]

    def test_the_active_run_of_mlflow_is_used_where_there_is_one(self, model_artifacts, store):
        with mlflow.start_run() as run:
            registered = register(model_artifacts, store / "out")
        assert registered["run_id"] == run.info.run_id
        assert mlflow.get_run(run.info.run_id).data.metrics["age_mae"] == 5.25

    def test_the_figures_are_linked_to_the_test_split_that_they_were_measured_on(self, registered, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
        version = registry.resolve("visage@champion")
        inputs = mlflow.get_run(version.run_id).inputs
        assert inputs
        (used,) = inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("examples", "ingest-fingerpri-test")
        assert json.loads(used.dataset.profile or "")["num_rows"] == 25
        figures = {metric.key: metric for metric in mlflow.get_logged_model(version.model_id).metrics or ()}
        assert figures["age_mae"].value == 5.25
        assert (figures["age_mae"].dataset_name, figures["age_mae"].dataset_digest) == (
            "examples",
            "ingest-fingerpri-test",
        )

    def test_the_card_has_what_mitchell_and_others_ask_for_and_no_face(self, model_artifacts, store):
        register(model_artifacts, store / "out", command="visage run --recipe default")
        card = (store / "out" / "card.md").read_text()
        heads = [line[3:] for line in card.splitlines() if line.startswith("## ")]
        assert heads == [
            "Intended use",
            "Out of scope",
            "Data and its terms",
            "How good it is",
            "For whom",
            "Limits",
            "How it was made",
            "Lineage",
            "Licence",
        ]
        assert "`visage run --recipe default`" in card
        files = registry.download(registry.resolve("visage@champion"))
        assert "<img" not in (files / "report.html").read_text(), "there were no plots"
        assert "<code>visage run --recipe default</code>" in (store / "out" / "report.html").read_text()


class TestPersons:
    """Who is in which split of a registered model's data."""

    def test_are_listed_with_their_split_and_the_number_of_their_examples(self, registered, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
        listed = registry.persons(registry.resolve("visage@champion")).to_pylist()
        assert len(listed) == 125
        assert listed[0] == {"person": "made:0", "split": "train", "examples": 2}
        assert {"person": "made:123", "split": "validation", "examples": 2} in listed
        assert [entry["person"] for entry in listed] == sorted(entry["person"] for entry in listed)

    def test_are_printed_as_csv(self, registered, tmp_path):
        command = [sys.executable, "-m", "pipeline.cli", "models", "persons", "1", "--root", str(tmp_path)]
        environment = os.environ | {"MLFLOW_TRACKING_URI": registered}
        completed = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[3], check=False
        )
        assert completed.returncode == 0, completed.stderr
        header, first, *others = completed.stdout.splitlines()
        assert (header, first, len(others)) == ("person,split,examples", "made:0,train,2", 124)

    def test_go_with_the_run_and_not_with_every_copy_of_the_model(self, registered, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
        model = registry.download(registry.resolve("visage@champion")).parent
        assert not list(model.rglob(registry.PERSONS))

    def test_of_a_version_whose_run_has_no_list_are_asked_for_in_vain(self, model_artifacts, store):
        run_id = register(model_artifacts, store / "out")["run_id"]
        artifacts = Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://"))
        (artifacts / registry.PERSONS).unlink()
        with pytest.raises(VisageError, match=f"visage/1 holds no {registry.PERSONS}") as caught:
            registry.persons(registry.resolve("visage/1"))
        assert "ingest-fingerprint" in caught.value.hint
        mlflow.delete_run(run_id)
        with pytest.raises(VisageError, match="holds no"):
            registry.persons(registry.resolve("visage/1"))

    def test_without_examples_nothing_is_registered(self, model_artifacts, store):
        damaged = saying(model_artifacts, store / "damaged")
        (damaged / "ingest" / "examples.parquet").write_bytes(b"PAR1")
        with pytest.raises(VisageError, match=r"examples.parquet cannot be read"):
            register(damaged, store / "out")
        assert registry.names() == []


class TestAliases:
    def test_a_model_that_was_not_blessed_stays_a_challenger(self, model_artifacts, store):
        worse = saying(model_artifacts, store / "worse", blessed=False, reasons=["age MAE 9.0 is above 8.0"])
        registered = register(worse, store / "out")
        assert registered["alias"] == "challenger" and registered["champion_version"] is None
        assert registered["scoring_version"] == "1"

    def test_a_better_one_takes_the_champions_place_and_a_rollback_gives_it_back(self, model_artifacts, store):
        register(model_artifacts, store / "first")
        better = saying(
            model_artifacts, store / "better", champion={"version": "1", "age_mae": 6.0, "gender_accuracy": 0.8}
        )
        registered = register(better, store / "second", "job-2")
        assert registered["alias"] == "champion" and registered["champion_version"] == "2"
        assert registry.rollback("visage").version == "1"

    def test_one_that_was_evaluated_against_another_champion_does_not_take_its_place(self, model_artifacts, store):
        register(model_artifacts, store / "first")
        registered = register(model_artifacts, store / "second", "job-2")  # knows of no champion
        assert registered["alias"] == "challenger" and registered["scoring_version"] == "1"
        tags = registry.resolve("visage/2").tags
        assert "evaluated against no champion, but the champion is now visage/1" in tags["visage.decided"]

    def test_of_two_that_were_blessed_against_the_same_champion_the_second_stays_a_challenger(
        self, model_artifacts, store, monkeypatch
    ):
        """The second becomes champion after the first has looked and before it acts."""
        register(model_artifacts, store / "first")
        better = saying(model_artifacts, store / "better", champion={"version": "1"})
        look = registry.champion

        def look_and_be_late(name):
            champion = look(name)
            if not (store / "third").exists():
                register(better, store / "third", "job-3")
            return champion

        monkeypatch.setattr(registry, "champion", look_and_be_late)
        late = register(better, store / "second", "job-2")
        assert (late["alias"], late["champion_version"]) == ("challenger", "3")
        assert "the champion is now visage/3" in registry.resolve("visage/2").tags["visage.decided"]
        assert registry.rollback("visage").version == "1"

    def test_a_version_says_what_it_learned_from_and_which_is_the_best_so_far(self, model_artifacts, store):
        best = {"age_mae": "self", "age_class_accuracy": "", "gender_accuracy": "1"}
        register(saying(model_artifacts, store / "good", best=best), store / "out")
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
    def test_the_same_artifact_is_not_registered_twice(self, model_artifacts, store):
        first = register(model_artifacts, store / "first")
        assert register(model_artifacts, store / "second") == first
        assert [version.version for version in registry.versions("visage")] == ["1"]
        assert (store / "second" / "card.md").read_text() == (store / "first" / "card.md").read_text()

    def test_a_kill_before_the_alias_is_mended_by_the_next_run(self, model_artifacts, store, monkeypatch):
        monkeypatch.setattr(registry, "promote", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            register(model_artifacts, store / "killed")
        monkeypatch.undo()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
        assert registry.champion("visage") is None
        assert register(model_artifacts, store / "out")["alias"] == "champion"
        assert len(registry.versions("visage")) == 1

    def test_an_alias_that_a_person_has_moved_since_stays_where_it_is(self, model_artifacts, store):
        register(model_artifacts, store / "first")
        better = saying(model_artifacts, store / "better", champion={"version": "1"})
        register(better, store / "second", "job-2")
        registry.rollback("visage")
        assert register(better, store / "again", "job-2")["champion_version"] == "1"


class TestIsCurrent:
    """Whether what the step once registered is still so; asked before its artifact is reused."""

    @staticmethod
    def made_by_the_step(model_artifacts, store):
        execute(STEP, Settings(), {step: model_artifacts / step for step in STEP.inputs}, store / "artifact", Tracker())
        return store / "artifact"

    def is_current(self, artifact) -> bool:
        assert STEP.is_current
        return STEP.is_current(artifact, Surroundings(champion=registry.champion("visage")))

    def test_an_old_root_with_a_new_server_registers_anew(self, model_artifacts, store, empty_registry, monkeypatch):
        artifact = self.made_by_the_step(model_artifacts, store)
        assert self.is_current(artifact)
        shutil.copyfile(empty_registry, store / "another.db")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'another.db'}")
        assert not self.is_current(artifact)

    def test_when_the_champion_has_moved_the_step_names_the_one_that_scores_now(self, model_artifacts, store):
        artifact = self.made_by_the_step(model_artifacts, store)
        register(model_artifacts, store / "other", "job-2")
        registry.promote("visage/2")
        assert not self.is_current(artifact)
        self.made_by_the_step(model_artifacts, store)
        assert self.is_current(artifact)
        registered = json.loads((artifact / "registered.json").read_text())
        assert (registered["version"], registered["scoring_version"]) == ("1", "2")
        assert len(registry.versions("visage")) == 2


def test_a_version_that_was_made_twice_because_the_servers_answer_was_lost_is_there_once(
    model_artifacts, store, monkeypatch
):
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    create = SqlAlchemyStore.create_model_version

    def asked_again(*arguments, **named):
        create(*arguments, **named)
        return create(*arguments, **named)

    monkeypatch.setattr(SqlAlchemyStore, "create_model_version", asked_again)
    registered = register(model_artifacts, store / "out")
    assert [version.version for version in registry.versions("visage")] == [registered["version"]] == ["2"]
    assert registered["alias"] == "champion"


def test_the_path_of_modules_is_as_it_was(model_artifacts, store):
    before = list(sys.path)
    register(model_artifacts, store / "out")
    assert sys.path == before


class TestTrouble:
    def test_a_missing_file_of_an_input_is_one_message(self, model_artifacts, store):
        broken = store / "broken"
        shutil.copytree(model_artifacts, broken)
        shutil.rmtree(broken / "train" / "estimator")
        with pytest.raises(VisageError, match="An input of register cannot be used"):
            register(broken, store / "out")

    def test_a_server_that_is_away_is_one_message(self, model_artifacts, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
        with pytest.raises(
            VisageError, match=r"MLflow at http://someone:\*\*\*@127.0.0.1:9 does not answer.*refused"
        ) as raised:
            register(model_artifacts, tmp_path / "out")
        assert "secret" not in str(raised.value)

    def test_the_step_runs_as_a_step(self, model_artifacts, store):
        inputs = {step: model_artifacts / step for step in STEP.inputs}
        manifest = execute(STEP, Settings(), inputs, store / "artifact", Tracker())
        assert manifest.counts == {"name": "visage", "version": "1", "alias": "champion", "champion": "1"}
        assert registry.find("visage", "visage.fingerprint", manifest.fingerprint)
