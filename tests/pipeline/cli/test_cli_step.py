"""One step alone, as a container of the cluster runs it."""

import json
import re
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from components.storage import files
from pipeline import tracking
from pipeline.cli import main, parser, step
from schemas.artifact import read_manifest
from schemas.error import VisageError
from tests.components.storage.conftest import s3, s3_client  # noqa: F401 - fixtures
from tests.pipeline import toy

PASSWORD = "hunter2hunter2"


def test_settings_go_over_the_recipe_as_they_would_in_one_and_a_credential_in_them_is_not_written(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for number in range(40):
        Image.new("RGB", (64, 64), (number, 5 * number, 90)).save(tmp_path / f"{number}.png")
    rows = [f"{number}.png,{number},{number % 2}" for number in range(40)]
    (tmp_path / "faces.csv").write_text("\n".join(["path,age,gender", *rows]))
    source = {"kind": "table", "path": str(tmp_path / "faces.csv"), "table": {"genders": {"0": "male", "1": "female"}}}
    settings = json.dumps({"source": source, "beam": {"workers": 1, "options": [f"--s3_secret_access_key={PASSWORD}"]}})
    assert main(["step", "ingest", "--recipe", "demo", "--settings", settings, "--out", str(tmp_path / "out")]) == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.settings["source"]["table"]["genders"] == {"0": "male", "1": "female"}
    assert manifest.settings["ingest"]["split"]["validation"] == 0.15
    assert manifest.settings["beam"]["options"] == ["--s3_secret_access_key=***"]
    written = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(written) > 5 and not any(PASSWORD.encode() in file.read_bytes() for file in written)


@pytest.fixture
def ingest(tmp_path, monkeypatch):
    """Ingests a small table, as a pod of a run does; whether the artifact was taken from what is kept."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "photos").mkdir()
    for number in range(40):
        Image.new("RGB", (64, 64), (number, 5 * number, 90)).save(tmp_path / "photos" / f"{number}.png")
    rows = [f"{number}.png,{number},{'fm'[number % 2]}" for number in range(40)]
    (tmp_path / "photos" / "faces.csv").write_text("\n".join(["path,age,gender", *rows]))

    def run(out: str, capsys, *more: str) -> bool:
        source = {"kind": "table", "path": str(tmp_path / "photos" / "faces.csv")}
        settings = json.dumps({"source": source, "beam": {"workers": 1}})
        store = ["--artifact-store", str(tmp_path / "store"), "--run", out]
        assert main(["step", "ingest", "--settings", settings, *store, *more, "--out", str(tmp_path / out)]) == 0
        return "reused from" in capsys.readouterr().out

    return run


def test_an_artifact_that_is_kept_is_taken_and_not_made_again_unless_a_photo_is_another(ingest, tmp_path, capsys):
    assert not ingest("first", capsys)
    assert ingest("second", capsys)
    assert read_manifest(tmp_path / "second") == read_manifest(tmp_path / "first")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "photos" / "7.png")
    assert not ingest("third", capsys)
    assert ingest("fourth", capsys)
    assert not ingest("fifth", capsys, "--set", "ingest.split.seed=7")


def test_an_artifact_that_is_reused_is_shown_in_kubeflow_too(ingest, tmp_path, capsys):
    artifact = {"name": "metrics", "uri": "minio://x/metrics"}
    executor_input = {
        "outputs": {"artifacts": {"metrics": {"artifacts": [artifact]}}, "outputFile": str(tmp_path / "told.json")}
    }
    shown = []
    for out in ("first", "second"):
        page = tmp_path / "pages" / out
        ingest(out, capsys, "--executor-input", json.dumps(executor_input), "--page", str(page))
        [metrics] = json.loads((tmp_path / "told.json").read_text())["artifacts"]["metrics"]["artifacts"]
        shown.append((metrics, page.read_text()))
        Path(tmp_path / "told.json").unlink()
    assert shown[0] == shown[1]
    assert shown[0][0]["uri"] == artifact["uri"] and shown[0][0]["metadata"]["examples"] == 40
    assert "<html" in shown[0][1]


def test_a_step_that_fails_says_where_its_run_in_mlflow_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    missing = ["--set", f"source.path={tmp_path / 'missing'}", "--mlflow-ui", "https://mlflow.example.com"]
    assert main(["step", "ingest", *missing, "--out", str(tmp_path / "out")]) != 0
    match = re.search(
        r"Its run in MLflow: https://mlflow.example.com/#/experiments/\d+/runs/(\w+)\?\S+\n", capsys.readouterr().err
    )
    assert match
    run = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_run(match[1])
    assert (run.data.tags["visage.step"], run.info.status) == ("ingest", "FAILED")


def test_of_a_step_whose_artifact_cannot_be_brought_to_its_url_no_run_has_finished(s3, tmp_path, monkeypatch):  # noqa: F811
    def gone(source: str, target: str) -> None:
        raise OSError(5, "the store is gone")

    store = tracking.local_store(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setattr(files, "copy", gone)
    arguments = parser().parse_args(["step", "draw", "--out", s3.url("steps/draw")])
    with pytest.raises(VisageError, match=r"cannot be brought to .* the store is gone"):
        step.run(toy.STEPS[0], toy.recipe(), arguments)
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`visage.step` = 'pipeline'")
    assert parent.info.status == "FAILED"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--stored", "ingest", "0123abcd"], "--stored wants --artifact-store"),
        (["--stored", "ingest", "0123abcd", "--artifact-store", "STORE"], "holds no such artifact"),
    ],
)
def test_an_input_that_is_not_kept_is_one_message(more, message, tmp_path, capsys):
    more = [word.replace("STORE", str(tmp_path / "store")) for word in more]
    assert main(["step", "validate", *more, "--out", str(tmp_path / "out")]) != 0
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]"])
def test_what_kubeflow_does_not_say_so_is_one_message(text, tmp_path, capsys):
    assert main(["step", "ingest", "--executor-input", text, "--out", str(tmp_path / "out")]) == 2
    assert "--executor-input" in capsys.readouterr().err
