"""A Job that does a step's work: started once, watched, and removed; on a stand-in for Kubernetes, or on a real server."""

import json
import logging
import signal
import subprocess
import sys
import threading
import time

import pytest
import yaml

from pipeline.kubeflow import job, train_job
from pipeline.kubeflow.cluster_profile import ClusterProfile
from schemas.error import VisageError
from tests.documented import PROJECT
from tests.pipeline.kubeflow.controllers import controllers, until

pytest.importorskip("kubernetes", reason="the extra [kubeflow] is not installed")

PROFILE = ClusterProfile.model_validate(
    {"image": "registry.example.com/visage:1", "artifact_store": "s3://visage", "train_hosts": 2}
)
JOB = train_job.named(train_job.manifest(PROFILE, "demo"), "run-1", "0123abcd", ["visage", "--help"])
NAME = JOB["metadata"]["name"]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(job, "POLL_SECONDS", 0.05)
    with controllers(tmp_path) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.runner))
        yield server


@pytest.fixture
def stand_in(cluster):
    if cluster.server is None:
        pytest.skip("a real server cannot be told to do so")
    return cluster.server


class Step(threading.Thread):
    """A step that waits for the Job; `error` is what it ended with, if that was an error."""

    def __init__(self):
        super().__init__(daemon=True)
        self.error = None
        self.start()

    def run(self):
        try:
            job.run(JOB)
        except VisageError as error:
            self.error = error

    def end(self):
        self.join(300)
        assert not self.is_alive()
        return self.error


def test_it_is_started_waited_for_and_removed_when_it_is_done(cluster):
    step = Step()
    kube_job = cluster.started()
    assert (kube_job.metadata.name, kube_job.spec.completions, kube_job.spec.completion_mode) == (NAME, 2, "Indexed")
    assert kube_job.metadata.labels["visage.run"] == "run-1"
    assert step.is_alive()
    cluster.complete(NAME)
    assert step.end() is None
    assert cluster.all() == []


def test_one_that_fails_is_one_message_and_stays_for_its_logs(cluster):
    step = Step()
    cluster.started()
    cluster.fail(NAME)
    error = step.end()
    assert error.message == (
        f"The Job {NAME} has failed: BackoffLimitExceeded: Job has reached the specified backoff limit"
    )
    assert f"kubectl -n kubeflow logs -l job-name={NAME}" in error.hint and "last checkpoint" in error.hint
    assert [kube_job.metadata.name for kube_job in cluster.all()] == [NAME]


def test_a_retry_waits_for_the_one_that_is_there(cluster):
    first = Step()
    uid = cluster.started().metadata.uid
    second = Step()
    time.sleep(0.5)
    assert [kube_job.metadata.uid for kube_job in cluster.all()] == [uid]
    cluster.complete(NAME)
    errors = [step.end() for step in (first, second)]
    # One of both may find it removed by the other already; the artifact is there, and its retry takes it.
    assert None in errors


def test_a_retry_after_a_failure_starts_it_anew_once_the_old_one_is_gone_with_its_pods(cluster):
    step = Step()
    uid = cluster.started().metadata.uid
    cluster.fail(NAME)
    assert step.end() is not None
    step = Step()
    until(lambda: cluster.all()[0].metadata.deletion_timestamp)
    time.sleep(0.5)
    assert [kube_job.metadata.uid for kube_job in cluster.all()] == [uid], "its pods are at work still"
    cluster.let_go(NAME)
    cluster.started(besides=uid)
    cluster.complete(NAME)
    assert step.end() is None


def test_one_that_somebody_removes_is_one_message(cluster):
    step = Step()
    cluster.started()
    cluster.remove_all()
    assert "was removed while it was at work" in step.end().message


SCRIPT = """
import json, sys
from components.step.command import guarded
from pipeline.kubeflow import job
job.POLL_SECONDS = 0.05
sys.exit(guarded(lambda: job.run(json.loads(sys.argv[1])), debug=False))
"""


def test_a_step_that_is_told_to_stop_takes_it_away(cluster):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(JOB)], cwd=PROJECT, stderr=subprocess.PIPE, text=True
    )
    cluster.started()
    process.send_signal(signal.SIGTERM)
    _, output = process.communicate(timeout=300)
    assert process.returncode == 130, output
    assert cluster.all() == []


def test_an_account_without_the_role_is_told_which_it_needs(cluster, tmp_path, monkeypatch):
    stranger = tmp_path / "stranger"
    kubeconfig = yaml.safe_load(cluster.runner.read_text())
    kubeconfig["users"][0]["user"] = {"token": "of-nobody"}
    stranger.write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(stranger))
    with pytest.raises(VisageError, match="does not let the step start a Job in kubeflow") as raised:
        job.run(JOB)
    assert "infra/kubernetes/kubeflow" in raised.value.hint


def test_what_kubernetes_does_not_take_is_one_message_with_its_own_words(cluster):
    wrong = json.loads(json.dumps(JOB))
    del wrong["spec"]["template"]["spec"]["restartPolicy"]
    with pytest.raises(VisageError, match=r"does not take the Job: .*restartPolicy"):
        job.run(wrong)


def test_without_a_cluster_it_is_said_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(VisageError, match="No cluster is known"):
        job.run(JOB)


def test_a_server_that_is_overburdened_is_asked_again(cluster, stand_in):
    step = Step()
    cluster.started()
    stand_in.away = 3
    until(lambda: stand_in.away == 0)
    cluster.complete(NAME)
    assert step.end() is None


def test_a_server_that_stays_away_is_one_message_and_the_job_goes_on(cluster, stand_in, monkeypatch):
    monkeypatch.setattr(job, "PATIENCE", 0.2)
    step = Step()
    cluster.started()
    stand_in.away = 1_000_000
    assert "Kubernetes does not answer: 503" in step.end().message
    stand_in.away = 0
    assert [kube_job.metadata.name for kube_job in cluster.all()] == [NAME]


def test_what_the_first_host_says_is_shown_once_and_why_another_waits(cluster, stand_in, capsys, caplog):
    caplog.set_level(logging.INFO, "visage.step")
    pods = [pod(0, {"phase": "Running"}), pod(1, {"phase": "Pending", "conditions": [UNSCHEDULABLE]})]
    stand_in.pods = pods
    stand_in.logs = {"host-0": "2026-11-26T18:00:00.1Z epoch 1 of 2\n", "host-1": "2026-11-26T18:00:00.1Z not shown\n"}
    step = Step()
    cluster.started()
    until(lambda: "Insufficient nvidia.com/gpu" in caplog.text)
    time.sleep(0.2)
    stand_in.logs["host-0"] += "2026-11-26T18:00:00.12Z epoch 2 of 2\n"
    time.sleep(0.3)
    cluster.complete(NAME)
    assert step.end() is None
    assert capsys.readouterr().out == "epoch 1 of 2\nepoch 2 of 2\n"


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
}


def pod(number: int, status: dict) -> dict:
    labels = {"job-name": NAME, "batch.kubernetes.io/job-completion-index": str(number)}
    return {"metadata": {"name": f"host-{number}", "labels": labels}, "spec": {"containers": []}, "status": status}
