"""What MLflow holds of a pipeline run, and what happens while its server is away."""

import io
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from components.registry import mlflow_server
from components.step import Tracker
from pipeline import dag, tracking
from pipeline.cli import main
from pipeline.local import runner
from pipeline.local.display import Display
from pipeline.local.process import WorkerProcess
from pipeline.pipeline_run import OWNER_TAG, ROOT_TAG, RUN_TAG, STEP_TAG, PipelineRun, owner_of
from schemas.artifact import is_whole
from schemas.error import VisageError
from tests.cluster.go_servers import free_port, serving
from tests.pipeline import toy


def run(root, process=None, force=(), **settings):
    display = Display(Console(file=io.StringIO()))
    return runner.run(toy.recipe(**settings), root, display, force=force, steps=toy.STEPS, process=process)


@pytest.fixture(scope="module")
def root(tmp_path_factory, empty_registry):
    root = tmp_path_factory.mktemp("somebody's root")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    return root


@pytest.fixture(scope="module")
def process(root, tmp_path_factory):
    """One worker for all runs that are tracked in the store of the root: importing MLflow takes seconds."""
    environment = {"MLFLOW_TRACKING_URI": tracking.local_store(root)}
    with WorkerProcess(environment, tmp_path_factory.mktemp("alive") / "worker") as process:
        yield process


@pytest.fixture(scope="module")
def finished(root, process):
    """A root on which the toy pipeline ran, was killed, failed, and ran again with another value; and a client of its store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run(root, process)
        for fail in ("total:killed", "total"):
            with pytest.raises(VisageError):
                run(root, process, fail=fail)
        outcome = run(root, process, value=4)
    return root, MlflowClient(tracking.local_store(root)), outcome


@pytest.fixture
def store(finished, monkeypatch) -> tuple[MlflowClient, str]:
    """A client of a store that is there already, and its experiment; MLFLOW_TRACKING_URI names it."""
    root, client, _ = finished
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.local_store(root))
    return client, client.get_experiment_by_name(tracking.EXPERIMENT).experiment_id


def runs(client, query=""):
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    return client.search_runs([experiment.experiment_id], query, order_by=["attributes.start_time"])


def test_one_parent_a_pipeline_run_and_one_child_a_step(finished):
    _, client, _ = finished
    parents = runs(client, "tags.`visage.step` = 'pipeline'")
    assert len(parents) == 4
    children = runs(client, f"tags.`mlflow.parentRunId` = '{parents[-1].info.run_id}'")
    assert sorted(child.data.tags["visage.step"] for child in children) == ["double", "draw", "square", "total"]
    assert {child.info.status for child in children} == {"FINISHED"}
    assert parents[-1].data.metrics["total.result"] == 24, "figures of all steps, to compare pipeline runs"
    assert parents[-1].data.params["toy.value"] == "4", "and their settings"


def test_every_run_ends_as_it_ended(finished):
    _, client, _ = finished
    assert runs(client, "attributes.status = 'RUNNING'") == []
    parents = runs(client, "tags.`visage.step` = 'pipeline'")
    assert [parent.info.status for parent in parents] == ["FINISHED", "FAILED", "FAILED", "FINISHED"]
    totals = runs(client, "tags.`visage.step` = 'total'")
    assert [total.info.status for total in totals] == ["FINISHED", "KILLED", "FAILED", "FINISHED"]


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {project!r})
from components.step.command import guarded
from tests.pipeline.test_tracking import run
if __name__ == "__main__":
    sys.exit(guarded(lambda: run(Path(sys.argv[1]), seconds={{"draw": 600}}), debug=False))
"""


def ended_by(tmp_path, *signals) -> tuple[int, str]:
    """Start the toy pipeline, send it signals when its first step is at work; exit code, and what it said."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(project=str(Path(__file__).parents[2])))
    process = subprocess.Popen([sys.executable, script, tmp_path / "root"], stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("root/artifacts/draw/.*.partial/half")):
        time.sleep(0.05)
        assert process.poll() is None
    for each in signals:
        process.send_signal(each)
    _, output = process.communicate(timeout=300)
    return process.returncode, output


def test_a_run_that_is_told_to_stop_ends_as_killed_with_its_step(store, tmp_path):
    client, _ = store
    code, output = ended_by(tmp_path, signal.SIGTERM)
    assert code == 130
    assert output == "visage: stopped. The same command goes on from here.\n"
    query = f"tags.`{OWNER_TAG}` = '{owner_of(tmp_path / 'root')}'"
    assert {run.data.tags["visage.step"]: run.info.status for run in runs(client, query)} == {
        "pipeline": "KILLED",
        "draw": "KILLED",
    }


def test_what_was_killed_without_a_word_is_ended_by_the_next_run_of_its_root_and_no_other(store, process, tmp_path):
    client, _ = store
    ended_by(tmp_path, signal.SIGKILL)
    query = f"tags.`{OWNER_TAG}` = '{owner_of(tmp_path / 'root')}'"
    assert {run.info.status for run in runs(client, query)} == {"RUNNING"}
    run(tmp_path / "another root", process)
    assert {run.info.status for run in runs(client, query)} == {"RUNNING"}
    run(tmp_path / "root", process)
    assert [run.info.status for run in runs(client, query)].count("KILLED") == 2
    assert "RUNNING" not in {run.info.status for run in runs(client, query)}


def test_a_run_on_another_host_with_the_same_path_is_not_ended(store, process, tmp_path):
    client, experiment = store
    root = tmp_path / "root"
    tags = {ROOT_TAG: str(root), OWNER_TAG: "somebody else", RUN_TAG: "theirs"}
    theirs = client.create_run(experiment, tags=tags).info.run_id
    run(root, process)
    assert client.get_run(theirs).info.status == "RUNNING"
    client.set_terminated(theirs)


def test_two_first_runs_on_one_store_share_the_experiment(store, monkeypatch):
    client, experiment = store
    looked, look = [], client.get_experiment_by_name

    def too_early(name):
        looked.append(name)
        return None if len(looked) == 1 else look(name)

    monkeypatch.setattr(client, "get_experiment_by_name", too_early)
    assert tracking._experiment(client, "") == experiment


class TestStepsInContainers:
    """Steps that have no runner: `visage step NAME --run KEY`, and `visage end-run KEY STEP...` at the end."""

    @staticmethod
    def container(step, key, fail=False):
        try:
            with tracking.step_run(PipelineRun(key, "toy"), step, toy.Settings(), Tracker()):
                assert not fail
        except AssertionError:
            pass

    def test_two_at_once_have_one_parent(self, store, tmp_path, monkeypatch):
        client, _ = store
        draw, double = toy.STEPS[:2]
        both = threading.Barrier(2, timeout=300)
        parents = tracking._parents

        def parents_seen_together(client, experiment, key):
            parent_runs = parents(client, experiment, key)
            if not parent_runs:
                both.wait()  # each has seen that there is none
            return parent_runs

        monkeypatch.setattr(tracking, "_parents", parents_seen_together)
        pool = [threading.Thread(target=self.container, args=(step, "at-once")) for step in (draw, double)]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
        tracked = runs(client, "tags.`visage.run` = 'at-once'")
        (parent,) = [run.info.run_id for run in tracked if run.data.tags["visage.step"] == "pipeline"]
        children = [
            run.data.tags["mlflow.parentRunId"] for run in tracked if run.data.tags["visage.step"] != "pipeline"
        ]
        assert children == [parent, parent]

    def test_runs_that_were_made_twice_because_the_servers_answer_was_lost_are_there_once(self, store, monkeypatch):
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        client, _ = store
        create = SqlAlchemyStore.create_run

        def asked_again(*arguments, **named):
            create(*arguments, **named)
            return create(*arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(SqlAlchemyStore, "create_run", asked_again)
            self.container(dag.STEPS[0], "doubled")
        by_step = {run.data.tags["visage.step"]: run for run in runs(client, "tags.`visage.run` = 'doubled'")}
        assert len(runs(client, "tags.`visage.run` = 'doubled'")) == 2
        assert by_step["ingest"].data.tags["mlflow.parentRunId"] == by_step["pipeline"].info.run_id

    @pytest.mark.parametrize(("fails", "status"), [(False, "FINISHED"), (True, "FAILED")])
    def test_the_last_task_ends_the_parent_as_the_steps_ended(self, store, capsys, fails, status):
        client, _ = store
        key = f"ends-{status}"
        for step, fail in zip(dag.STEPS[:2], (False, fails), strict=True):
            self.container(step, key, fail)
        assert main(["end-run", key, "ingest", "validate"]) == 0
        assert capsys.readouterr().out == f"{key}: {status}\n"
        (parent,) = runs(client, f"tags.`visage.run` = '{key}' and tags.`visage.step` = 'pipeline'")
        assert parent.info.status == status

    def test_a_pipeline_of_which_a_step_never_started_has_failed(self, store, capsys):
        self.container(dag.STEPS[0], "cut-short")
        assert main(["end-run", "cut-short", "ingest", "validate"]) == 0
        assert capsys.readouterr().out == "cut-short: FAILED\n"

    def test_a_container_that_was_killed_does_not_leave_its_run_open(self, store):
        client, experiment = store
        self.container(dag.STEPS[0], "killed")
        tags = {RUN_TAG: "killed", STEP_TAG: "validate"}
        left = client.create_run(experiment, tags=tags).info.run_id
        main(["end-run", "killed", "ingest", "validate"])
        assert client.get_run(left).info.status == "KILLED"

    @pytest.mark.parametrize(
        ("ends", "status"),
        [
            (["KILLED"], "KILLED"),
            (["RUNNING"], "KILLED"),
            (["KILLED", "FINISHED"], "FINISHED"),
            (["FAILED", "FINISHED"], "FINISHED"),
            (["FAILED", "KILLED"], "KILLED"),
            (["KILLED", "FAILED"], "FAILED"),
        ],
        ids=" then ".join,
    )
    def test_of_a_step_that_was_tried_again_the_last_try_counts(self, store, capsys, ends, status):
        client, experiment = store
        key = "-".join(["tries", *ends])
        self.container(dag.STEPS[0], key)
        for number, end in enumerate(ends):
            tags = {RUN_TAG: key, STEP_TAG: "validate"}
            run = client.create_run(experiment, tags=tags, start_time=4_000_000_000_000 + number).info.run_id
            if end != "RUNNING":
                client.set_terminated(run, end)
        assert main(["end-run", key, "ingest", "validate"]) == 0
        assert capsys.readouterr().out == f"{key}: {status}\n"
        (parent,) = runs(client, f"tags.`visage.run` = '{key}' and tags.`visage.step` = 'pipeline'")
        assert parent.info.status == status

    def test_the_run_of_a_step_is_that_of_its_last_try_wherever_it_ran(self, store):
        client, _ = store
        pipeline_run = PipelineRun("last-try", "toy")
        assert tracking.newest_run_of(pipeline_run, dag.STEPS[0]) == ""
        for fail in (True, False):
            self.container(dag.STEPS[0], "last-try", fail)
        self.container(dag.STEPS[1], "last-try")
        last = client.get_run(tracking.newest_run_of(pipeline_run, dag.STEPS[0]))
        assert (last.data.tags["visage.step"], last.info.status) == ("ingest", "FINISHED")

    def test_a_step_that_was_reused_has_finished(self, store, capsys):
        client, _ = store
        run = PipelineRun("reuses", "toy")
        parent = tracking.record_reuse(run, dag.STEPS[0], "0123abcd", toy.Settings())
        assert client.get_run(parent).data.params["toy.value"] == "3"
        self.container(dag.STEPS[1], "reuses")
        assert main(["end-run", "reuses", "ingest", "validate"]) == 0
        assert capsys.readouterr().out == "reuses: FINISHED\n"
        tags = client.get_run(parent).data.tags
        assert (tags["visage.reused.ingest"], tags["visage.data_fingerprint"]) == ("0123abcd", "0123abcd")

    def test_a_run_that_is_retried_after_its_end_goes_on_under_the_same_parent(self, store):
        client, _ = store
        self.container(dag.STEPS[0], "retried", fail=True)
        main(["end-run", "retried", "ingest"])
        (parent,) = runs(client, "tags.`visage.run` = 'retried' and tags.`visage.step` = 'pipeline'")
        assert parent.info.status == "FAILED"
        with tracking.step_run(PipelineRun("retried", "toy"), dag.STEPS[0], toy.Settings(), Tracker()):
            assert client.get_run(parent.info.run_id).info.status == "RUNNING"
        main(["end-run", "retried", "ingest"])
        (parent,) = runs(client, "tags.`visage.run` = 'retried' and tags.`visage.step` = 'pipeline'")
        assert parent.info.status == "FINISHED"

    def test_parent_and_children_lead_to_the_run_in_kubeflow(self, store):
        client, _ = store
        address = "https://kubeflow.example.com/#/runs/details/linked"
        with tracking.step_run(
            PipelineRun("linked", "toy", kubeflow=address), dag.STEPS[0], toy.Settings(), Tracker()
        ) as tracker:
            page = tracking.page_of(tracker.run_id, "https://mlflow.example.com/")
        linked = runs(client, "tags.`visage.run` = 'linked'")
        assert [run.data.tags["visage.kubeflow_run"] for run in linked] == [address] * 2
        (parent,) = [run for run in linked if run.data.tags["visage.step"] == "pipeline"]
        assert address in parent.data.tags["mlflow.note.content"]
        assert page.startswith("https://mlflow.example.com/#/experiments/") and page.endswith(
            f"/runs/{tracker.run_id}?workflowType=machine_learning"
        )
        assert tracking.page_of(tracker.run_id, "sqlite:///mlflow.db") == ""


def test_the_parent_says_by_which_command_and_a_setting_that_it_has_stays(store):
    client, _ = store
    pipeline_run = PipelineRun("told", "toy", command="visage run --recipe toy --set toy.value=3")
    for value in (3, 4):
        with tracking.step_run(pipeline_run, toy.STEPS[0], toy.Settings(toy=toy.ToySettings(value=value)), Tracker()):
            pass
    (parent,) = runs(client, "tags.`visage.run` = 'told' and tags.`visage.step` = 'pipeline'")
    assert parent.data.tags["mlflow.note.content"] == "`visage run --recipe toy --set toy.value=3`"
    assert parent.data.params["toy.value"] == "3"
    assert len(runs(client, "tags.`visage.run` = 'told' and params.`toy.value` = '4'")) == 1


@pytest.mark.parametrize("command", ["step", "score"])
def test_what_fails_alone_ends_its_parent_too(store, tmp_path, command):
    client, _ = store
    before = {run.info.run_id for run in runs(client)}
    (tmp_path / "faces").mkdir()
    arguments = {
        "step": ["step", "ingest", "--set", f"source.path={tmp_path / 'nowhere'}"],
        "score": ["score", str(tmp_path / "faces"), "--model", "nobody@champion"],
    }
    assert main([*arguments[command], "--out", str(tmp_path / "out")]) != 0
    new_runs = [run for run in runs(client) if run.info.run_id not in before]
    assert {run.data.tags["visage.step"] for run in new_runs} == {
        "pipeline",
        "ingest" if command == "step" else "score",
    }
    assert {run.info.status for run in new_runs} == {"FAILED"}


def test_the_parent_says_what_was_reused(finished, process, monkeypatch):
    root, client, _ = finished
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    outcome = run(root, process, force=["total"], value=4)
    parent = runs(client, "tags.`visage.step` = 'pipeline'")[-1]
    reused = {name: value for name, value in parent.data.tags.items() if name.startswith("visage.reused.")}
    assert reused == {
        f"visage.reused.{name}": outcome.manifests[name].fingerprint for name in ("draw", "double", "square")
    }


@pytest.mark.slow
def test_a_server_that_never_answers_is_one_message_within_half_a_minute(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    assert mlflow_server.FIRST_ANSWER <= 20
    with pytest.raises(VisageError) as caught:
        run(tmp_path)
    assert "MLflow at http://127.0.0.1" in str(caught.value)
    assert "that the server runs" in str(caught.value)


@pytest.mark.slow
def test_a_server_that_is_killed_in_the_middle_of_a_run_is_waited_for(tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")  # waits of 2, 4, 8, 16 and 32 seconds
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # several processes for what nobody asks for here
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "8")  # of 64 and 128 too, where the server starts slowly
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"]
    command += ["--artifacts-destination", str(tmp_path / "files")]

    def served():
        return serving(command, port, tmp_path / "server.log", within=500)

    def killed_and_started():
        with served():
            up.set()
            while not list(tmp_path.glob("root/artifacts/double/.*.partial/half")):
                time.sleep(0.05)
        with served():
            done.wait()

    up, done = threading.Event(), threading.Event()
    server = threading.Thread(target=killed_and_started)
    server.start()
    assert up.wait(timeout=500)
    try:
        outcome = run(tmp_path / "root", seconds={"double": 3})
        client = MlflowClient(f"http://127.0.0.1:{port}")
        tracked = runs(client)
    finally:
        done.set()
        server.join()
    assert is_whole(outcome.artifacts["total"])
    assert sorted(run.data.tags["visage.step"] for run in tracked) == ["double", "draw", "pipeline", "square", "total"]
    assert {run.info.status for run in tracked} == {"FINISHED"}
