"""What MLflow holds of a pipeline run, and what happens while its server is away."""

import io
import socket
import subprocess
import sys
import threading
import time

import pytest
from mlflow import MlflowClient
from rich.console import Console

from pipeline import tracking
from pipeline.local import runner
from pipeline.local.display import Display
from schemas.artifact import is_whole
from schemas.error import VisageError
from tests.pipeline import toy


def run(root, **settings):
    return runner.run(toy.recipe(**settings), root, Display(Console(file=io.StringIO())), steps=toy.STEPS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A root on which the toy pipeline ran, was killed, and ran again with another value; and a client of its store."""
    root = tmp_path_factory.mktemp("somebody's root")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run(root)
        with pytest.raises(VisageError):
            run(root, fail="total:killed")
        outcome = run(root, value=4)
    return root, MlflowClient(tracking.local_store(root)), outcome


def runs(client, query=""):
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    return client.search_runs([experiment.experiment_id], query, order_by=["attributes.start_time"])


def test_one_parent_a_pipeline_run_and_one_child_a_step(finished):
    _, client, _ = finished
    parents = runs(client, "tags.`visage.step` = 'pipeline'")
    assert len(parents) == 3
    children = runs(client, f"tags.`mlflow.parentRunId` = '{parents[-1].info.run_id}'")
    assert sorted(child.data.tags["visage.step"] for child in children) == ["double", "draw", "square", "total"]
    assert {child.info.status for child in children} == {"FINISHED"}
    assert parents[-1].data.metrics["total.result"] == 24, "figures of all steps, to compare pipeline runs"


def test_a_child_holds_settings_metrics_time_and_lineage(finished):
    _, client, outcome = finished
    total = runs(client, "tags.`visage.step` = 'total' and attributes.status = 'FINISHED'")[-1]
    assert total.data.params["toy.value"] == "4"
    assert [point.value for point in client.get_metric_history(total.info.run_id, "result")] == [24]
    assert total.data.metrics["seconds"] >= 0
    manifest = outcome.manifests["total"]
    assert total.data.tags["visage.fingerprint"] == manifest.fingerprint
    assert total.data.tags["visage.input.double"] == manifest.inputs["double"]
    assert total.data.tags["visage.recipe"] == "toy"
    assert total.data.tags["visage.lock"] == manifest.lock
    assert total.data.tags["visage.git_commit"] == tracking.git_commit()


def test_runs_that_were_killed_do_not_stay_open(finished):
    _, client, _ = finished
    assert runs(client, "attributes.status = 'RUNNING'") == []
    assert {run.data.tags["visage.step"] for run in runs(client, "attributes.status = 'KILLED'")} == {
        "total",
        "pipeline",
    }


def test_the_parent_says_what_was_reused(finished, monkeypatch):
    root, client, _ = finished
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    outcome = runner.run(
        toy.recipe(value=4), root, Display(Console(file=io.StringIO())), force=["total"], steps=toy.STEPS
    )
    parent = runs(client, "tags.`visage.step` = 'pipeline'")[-1]
    reused = {name: value for name, value in parent.data.tags.items() if name.startswith("visage.reused.")}
    assert reused == {
        f"visage.reused.{name}": outcome.manifests[name].fingerprint for name in ("draw", "double", "square")
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_is_away_for_good_is_one_message_and_what_was_made_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with pytest.raises(VisageError) as caught:
        run(tmp_path)
    assert "MLflow at http://127.0.0.1" in str(caught.value)
    assert "that the server runs" in str(caught.value)


@pytest.mark.slow
def test_a_server_that_is_away_for_a_while_is_waited_for(tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")  # waits of 2, 4, 8 and 16 seconds
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination",
        str(tmp_path / "files"),
    ]
    server: list[subprocess.Popen] = []

    def come_back():
        time.sleep(4)
        server.append(subprocess.Popen([*command, *store], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    late = threading.Thread(target=come_back)
    late.start()
    try:
        outcome = run(tmp_path / "root")
    finally:
        late.join()
        server[0].terminate()
        server[0].wait()
    assert is_whole(outcome.artifacts["total"])
