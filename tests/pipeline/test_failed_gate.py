"""A gate that fails leaves its report where a person looks for it: in MLflow, in the folder it was written to, in the message."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from components.evaluate import STEP as EVALUATE
from components.step import Step, Surroundings, Tracker, execute
from components.step.settings import build
from components.validate import STEP as VALIDATE
from pipeline import tracking
from pipeline.pipeline_run import PipelineRun
from schemas.error import VisageError
from tests.components.evaluate.made_up import face, write_estimator, write_examples


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> dict[str, Path]:
    """Examples that are few, one of them of a gender that the schema does not know, and an estimator."""
    folder = tmp_path_factory.mktemp("artifacts")
    faces = {split: [face(n, 30, 30, 0.9, "female", person=f"{split}:{n}") for n in range(4)] for split in _SPLITS}
    faces["train"].append(face(9, 30, 30, 0.9, "other", person="train:9"))
    ingest = write_examples(folder, train=faces["train"], validation=faces["validation"], test=faces["test"])
    return {"ingest": ingest, "train": write_estimator(folder)}


_SPLITS = ("train", "validation", "test")
CASES = {
    "evaluate": (
        EVALUATE,
        ["evaluate.require_blessing=true", "evaluate.blessing.fresh_process=false"],
        {"report.html", "metrics.json", "age.png"},
    ),
    "validate": (VALIDATE, ["validation.on_anomaly=fail"], {"report.html", "anomalies.json"}),
}


@pytest.mark.parametrize("name", CASES)
def test_its_report_is_in_mlflow_in_the_folder_and_in_the_message(
    name, artifacts, tmp_path, monkeypatch, empty_registry
):
    step, overrides, reports = CASES[name]
    shutil.copyfile(empty_registry, tmp_path / "mlflow.db")
    uri = tracking.local_store(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    # What the run sets for its process is gone after the test.
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    message = failing(step, build(step.settings, {}, overrides), artifacts, tmp_path, uri)

    match = re.search(r"Report: (.+?), and among the artifacts of this step's run in MLflow", message)
    assert match, message
    report = Path(match[1])
    assert report.read_text().startswith("<!DOCTYPE html>")
    assert not (tmp_path / "artifact").exists()

    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.`visage.step` = '{name}'")
    assert run.info.status == "FAILED"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= reports
    logged = Path(client.download_artifacts(run.info.run_id, "report.html"))
    assert logged.read_bytes() == report.read_bytes()


def failing(step: Step, settings: Any, artifacts: dict[str, Path], folder: Path, uri: str) -> str:
    """What a person reads when the step fails."""
    pipeline_run = PipelineRun("key", "demo", str(folder))
    inputs = {name: artifacts[name] for name in step.inputs}
    with pytest.raises(VisageError) as caught, tracking.step_run(pipeline_run, step, settings, Tracker()) as tracker:
        execute(step, settings, inputs, folder / "artifact", tracker, Surroundings(tracking_uri=uri))
    return str(caught.value)
