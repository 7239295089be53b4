"""Metrics on their way to MLflow: the step never waits for the server, and what the server has is neither less nor twice."""

import shutil
import threading

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from components.registry import mlflow_server
from pipeline import metric_queue, tracking
from pipeline.metric_queue import MetricQueue
from schemas.error import VisageError


class Away(MlflowClient):
    """A client of a store that answers only while it is `there`; `lost` is how many answers get lost on their way."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri, uri)
        self.there, self.lost = threading.Event(), 0
        self.requests = threading.Semaphore(0)

    def log_batch(self, *arguments, **named):
        self.requests.release()
        if not self.there.is_set():
            raise MlflowException("connection refused")
        super().log_batch(*arguments, **named)
        if self.lost:
            self.lost -= 1
            raise MlflowException("connection reset")


@pytest.fixture(scope="module")
def store(tmp_path_factory, empty_registry):
    root = tmp_path_factory.mktemp("root")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    return tracking.local_store(root)


@pytest.fixture
def client(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setattr(metric_queue, "_PAUSE", 0.05)
    return Away(store)


@pytest.fixture
def run_id(client):
    return client.create_run("0").info.run_id


@pytest.fixture
def queue(client, run_id):
    own_queue = MetricQueue(client, run_id)
    yield own_queue
    own_queue.close()


def points(client, run_id, name):
    return [(point.step, point.value) for point in client.get_metric_history(run_id, name)]


def test_what_is_given_while_the_server_is_away_is_there_when_it_is_back(client, run_id, queue):
    for epoch in range(1, 251):
        queue.metric("loss", 1 / epoch, epoch)
        client.requests.acquire(blocking=False)
    queue.tag("device", "GPU")
    assert points(client, run_id, "loss") == []
    client.there.set()
    queue.flush()
    assert points(client, run_id, "loss") == [(epoch, pytest.approx(1 / epoch)) for epoch in range(1, 251)]
    assert client.get_run(run_id).data.tags["device"] == "GPU"


def test_what_is_sent_again_because_the_answer_was_lost_is_there_once(client, run_id, queue):
    client.there.set()
    client.lost = 3
    queue.metric("loss", 0.5, 1)
    queue.metric("loss", 0.25, 2)
    while client.lost:
        with pytest.raises(VisageError):
            queue.flush()
    queue.flush()
    assert points(client, run_id, "loss") == [(1, 0.5), (2, 0.25)]


def test_age_classes_may_be_called_what_mlflow_does_not_take_as_a_name(client, run_id, queue):
    client.there.set()
    for value, name in enumerate(("60+", "<18", ">18", "0\u201317", "(25, 32)", "a/b", "..", "a//", "under 30")):
        queue.metric(f"age_class/{name}/age_mae", value, None)
    queue.flush()
    metrics = client.get_run(run_id).data.metrics
    assert sorted(metrics.values()) == list(range(9)), "none is refused, and no two have one name"
    assert metrics["age_class/60 plus sign/age_mae"] == 0
    assert metrics["age_class/less-than sign 18/age_mae"] == 1
    assert metrics["age_class/under 30/age_mae"] == 8


def test_a_server_that_is_away_is_told_of_once_in_the_log(client, queue, caplog):
    queue.metric("loss", 0.5, 1)
    for _ in range(4):
        assert client.requests.acquire(timeout=300)
    assert [record.getMessage() for record in caplog.records].count(
        f"MLflow at {mlflow_server.where()} does not answer as it should: connection refused "
        "The figures are kept, and sent when it does."
    ) == 1


def test_one_that_stays_away_is_one_message_when_the_step_is_done(queue):
    queue.metric("loss", 0.5, 1)
    with pytest.raises(VisageError, match="connection refused"):
        queue.flush()


def test_an_error_that_nobody_foresaw_holds_nothing_up(client, run_id, queue, monkeypatch):
    def broken(*arguments, **named):
        raise RuntimeError("the client is broken")

    with monkeypatch.context() as patch:
        patch.setattr(client, "log_batch", broken)
        queue.metric("loss", 0.5, 1)
        with pytest.raises(VisageError, match="RuntimeError: the client is broken"):
            queue.flush()
    client.there.set()
    queue.flush()
    assert points(client, run_id, "loss") == [(1, 0.5)]


def test_nothing_to_send_is_nothing_to_wait_for(client, queue):
    queue.flush()
    assert not client.requests.acquire(blocking=False)
