"""What MLflow keeps of a step that ran, and in how few requests it comes there."""

import io
import shutil
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from rich.console import Console

from components.step import Tracker
from pipeline import figures, tracking
from pipeline.local import runner
from pipeline.local.display import Display
from pipeline.pipeline_run import PipelineRun, git_commit
from tests.pipeline import toy


@pytest.fixture(scope="module")
def finished(tmp_path_factory, empty_registry):
    """What came of a toy pipeline, and the address of the store that holds it."""
    root = tmp_path_factory.mktemp("root")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        display = Display(Console(file=io.StringIO()))
        return runner.run(toy.recipe(value=4), root, display, steps=toy.STEPS), tracking.local_store(root)


@pytest.fixture
def outcome(finished):
    return finished[0]


@pytest.fixture
def client(finished, monkeypatch) -> MlflowClient:
    """Of the store, which MLFLOW_TRACKING_URI names."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", finished[1])
    return MlflowClient(finished[1])


def runs(client, query):
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    return client.search_runs([experiment.experiment_id], query, order_by=["attributes.start_time"])


def test_a_child_holds_settings_metrics_time_and_lineage(client, outcome):
    total = runs(client, "tags.`visage.step` = 'total' and attributes.status = 'FINISHED'")[-1]
    assert total.data.params["toy.value"] == "4"
    assert [point.value for point in client.get_metric_history(total.info.run_id, "result")] == [24]
    assert total.data.metrics["seconds"] >= 0
    manifest = outcome.manifests["total"]
    assert total.data.tags["visage.fingerprint"] == manifest.fingerprint
    assert total.data.tags["visage.input.double"] == manifest.inputs["double"]
    assert total.data.tags["visage.recipe"] == "toy"
    assert total.data.tags["visage.lock"] == manifest.lock
    assert total.data.tags["visage.git_commit"] == git_commit()


@pytest.fixture
def requests(monkeypatch) -> list[str]:
    """Names of the requests by which figures and tags come to the store, as they come."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    names: list[str] = []

    def noted(name, ask):
        def counted_call(*arguments, **options):
            names.append(name)
            return ask(*arguments, **options)

        return counted_call

    for name in ("log_batch", "log_metric", "set_tag"):
        monkeypatch.setattr(SqlAlchemyStore, name, noted(name, getattr(SqlAlchemyStore, name)))
    return names


def test_the_figures_of_a_run_go_in_as_few_requests_as_mlflow_takes(client, requests):
    counts = {f"figure.{number}": float(number) for number in range(1500)}
    reused = {"ingest": "0123abcd", "validate": "4567cdef"}
    all_figures = counts | {"told": "in words"}
    tracking.close(PipelineRun("many", "toy"), "FINISHED", all_figures, reused, [toy.Settings()])
    assert requests == ["log_batch"] * 3, "a thousand figures and tags a request, and the settings"
    (parent,) = runs(client, "tags.`visage.run` = 'many'")
    assert parent.data.metrics == counts
    assert parent.data.params["toy.value"] == "3"
    assert {name: parent.data.tags[f"visage.reused.{name}"] for name in reused} == reused
    assert parent.data.tags["visage.data_fingerprint"] == "0123abcd"


def test_what_a_step_counted_goes_in_one_request(client, outcome, requests):
    step, told_already = toy.STEPS[3], 24.0
    counts = {"result": 7, "photos": 12, "share": 0.5, "tried": True, "by": "hand", "groups": {"a": 1}}
    manifest = replace(outcome.manifests["total"], counts=counts)
    with tracking.step_run(PipelineRun("counts", "toy"), step, toy.Settings(), Tracker()) as tracker:
        tracker.metric("result", told_already)
        tracker.queue.flush()
        requests.clear()
        figures.record(tracker, step, manifest, outcome.artifacts["total"])
        assert requests == ["log_batch"]
    data = client.get_run(tracker.run_id).data
    assert data.metrics == {"result": told_already, "photos": 12, "share": 0.5, "seconds": manifest.seconds}
    assert (data.tags["tried"], data.tags["by"]) == ("True", "hand")
    assert data.tags["visage.fingerprint"] == manifest.fingerprint
    assert {name: data.tags[f"visage.input.{name}"] for name in manifest.inputs} == manifest.inputs
