"""MLflow on PostgreSQL, with logins and artifacts in a bucket: a whole run while its server is killed; backup and restore."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from pipeline.demo.archive import draw_archive
from tests.cluster.go_servers import Unavailable
from tests.infra.servers import BACKUP, BASE, PROJECT, Installation, installed, servers

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(900)]

EPOCHS = 6
BLESSED = "evaluate.blessing={min_examples: 1, max_baseline_ratio: 100, min_gender_accuracy: 0, beat_baseline: false}"
"""So small a model is champion all the same."""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    try:
        with servers(tmp_path_factory.mktemp("servers")) as running:
            yield running
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def server(both, tmp_path_factory):
    """An installation with its server and the pipeline's login."""
    postgres, s3 = both
    with installed("mlflow", "mlflow", postgres, s3, tmp_path_factory.mktemp("first") / "server") as installation:
        installation.make_tables_and_login()
        yield installation


def started(server: Installation, root: Path, *more: str) -> subprocess.Popen:
    """A pipeline run of the small archive beside the root, with the pipeline's login; what it says goes to `out` there."""
    changed = [f"source.path={root.parent / 'archive'}", f"train.epochs={EPOCHS}", "score.photos=[]", BLESSED]
    command = [sys.executable, "-m", "pipeline.cli", "run", "--recipe", "demo", "--root", str(root), *more]
    for setting in changed:
        command += ["--set", setting]
    environment = {**os.environ, **server.client, "PYTHONPATH": server.environment["PYTHONPATH"]}
    with (root.parent / "out").open("w") as out:
        return subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=out, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def ran(server, tmp_path_factory) -> Path:
    """The root of a run on a small archive, during which the server was killed in the middle of train."""
    folder = tmp_path_factory.mktemp("run")
    draw_archive(folder / "archive", photos=200, seed=3)
    run = started(server, folder / "root")
    try:
        wait_for(run, folder / "root", "train", r"\(epoch 2\)")
        server.kill()
        wait_for(run, folder / "root", "train", r"\(epoch 4\)")  # it does not stand still while the server is away
        server.start()
        assert run.wait(timeout=600) == 0, (folder / "out").read_text()
    finally:
        run.kill()
    return folder / "root"


def wait_for(run: subprocess.Popen, root: Path, step: str, pattern: str) -> None:
    """Return when the log of a step has a text."""
    while not any(re.search(pattern, log.read_text()) for log in root.glob(f"logs/*/{step}.log")):
        assert run.poll() is None, f"it ended before {step} came to {pattern}"
        time.sleep(0.05)


@pytest.fixture
def client(server, ran, monkeypatch):
    return logged_in(server, monkeypatch)


def logged_in(server: Installation, monkeypatch):
    """A client with the pipeline's login, in this process."""
    from mlflow import MlflowClient

    for name, value in server.client.items():
        monkeypatch.setenv(name, value)
    return MlflowClient(server.client["MLFLOW_TRACKING_URI"], server.client["MLFLOW_TRACKING_URI"])


def runs(client):
    experiment = client.get_experiment_by_name("visage")
    return client.search_runs([experiment.experiment_id])


def test_who_has_no_login_sees_nothing(server):
    address = f"{server.client['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments/search"
    for login in (None, ("pipeline", "wrong"), ("admin", "password")):
        assert requests.post(address, json={"max_results": 1}, auth=login, timeout=60).status_code == 401


def test_the_tables_can_be_made_again_and_are_waited_for(server):
    server.run(sys.executable, BASE / "mlflow_store.py", "migrate")
    server.run(sys.executable, BASE / "mlflow_store.py", "wait")


def test_a_description_is_held_up_to_its_longest_however_many_bytes_a_letter_takes(server, monkeypatch):
    from mlflow.exceptions import MlflowException

    from components.register import description

    client = logged_in(server, monkeypatch)
    run = client.create_run(client.create_experiment("letters")).info
    client.create_registered_model("letters")
    version = client.create_model_version("letters", f"{run.artifact_uri}/model", run.run_id).version
    longest = ("é写\N{BABY}x" * description.LONGEST)[: description.LONGEST]
    client.update_model_version("letters", version, longest)
    with pytest.raises(MlflowException, match="value too long"):
        client.update_model_version("letters", version, f"{longest}x")
    assert client.get_model_version("letters", version).description == longest
    client.delete_registered_model("letters")


def test_one_parent_and_one_child_a_step_though_the_server_was_killed(client):
    tracked = runs(client)
    (parent,) = [run for run in tracked if run.data.tags["visage.step"] == "pipeline"]
    children = {run.data.tags["visage.step"]: run for run in tracked if run is not parent}
    assert len(tracked) == 6
    assert set(children) == {"ingest", "validate", "train", "evaluate", "register"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}
    assert {run.info.status for run in tracked} == {"FINISHED"}
    assert parent.data.metrics["train.epochs"] == EPOCHS


def test_no_figure_of_an_epoch_is_lost_or_doubled(client, ran):
    """What the step told its log, among it the figures of the weights that were kept, is what the server has."""
    (train,) = [run for run in runs(client) if run.data.tags["visage.step"] == "train"]
    (log,) = ran.glob("logs/*/train.log")
    for name in ("loss", "val_loss"):
        logged = re.findall(rf" {name} \(epoch (\d+)\): (\S+)", log.read_text())
        there = client.get_metric_history(train.info.run_id, name)
        assert {int(epoch) for epoch, _ in logged} == set(range(1, EPOCHS + 1))
        assert sorted((str(point.step), f"{point.value:.6g}") for point in there) == sorted(logged)


def champion(client):
    return client.get_model_version_by_alias("visage", "champion")


def test_one_version_is_champion_and_its_files_come_over_http(server, client, ran, monkeypatch, tmp_path):
    (version,) = client.search_model_versions("name='visage'")
    assert champion(client).version == version.version
    assert files_of(server, monkeypatch, tmp_path) == {
        file.name: file.read_bytes() for file in ran.glob("artifacts/train/*/estimator/*") if file.is_file()
    }


def test_another_login_reads_the_champion_and_cannot_move_it(server, client):
    reader = {"MLFLOW_TRACKING_USERNAME": "reader", "MLFLOW_TRACKING_PASSWORD": "a reader's password"}
    server.run(sys.executable, BASE / "mlflow_users.py", **reader)
    api = f"{server.client['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models"
    login = reader["MLFLOW_TRACKING_USERNAME"], reader["MLFLOW_TRACKING_PASSWORD"]
    assert requests.get(f"{api}/get", params={"name": "visage"}, auth=login, timeout=60).status_code == 200
    alias = {"name": "visage", "alias": "champion", "version": champion(client).version}
    assert requests.post(f"{api}/alias", json=alias, auth=login, timeout=60).status_code == 403


def files_of(server: Installation, monkeypatch, cache: Path) -> dict[str, bytes]:
    """The champion's estimator, fetched into an empty cache with the pipeline's login."""
    from components import registry

    logged_in(server, monkeypatch)
    monkeypatch.setenv("VISAGE_CACHE", str(cache))
    estimator = registry.download(registry.resolve("visage@champion")) / "estimator"
    return {file.name: file.read_bytes() for file in estimator.iterdir() if file.is_file()}


class TestBackup:
    """What the CronJob mlflow-backup does, and the handbook's way back."""

    @pytest.fixture(scope="class")
    def backup(self, server, ran, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("backup")
        server.run("bash", BACKUP / "database.sh", server.database, folder)
        server.run(sys.executable, BACKUP / "artifacts.py", server.artifacts, folder / "artifacts")
        return folder

    def test_an_empty_server_has_champion_lineage_logins_and_files_again(
        self, both, server, client, backup, monkeypatch, tmp_path
    ):
        before, files = champion(client), files_of(server, monkeypatch, tmp_path / "before")
        history = {run.info.run_id: (run.data.metrics, run.data.tags) for run in runs(client)}
        postgres, s3 = both
        with installed("restored", "restored", postgres, s3, tmp_path / "server") as restored:
            (copy,) = backup.glob("*.dump")
            restored.run("bash", BACKUP / "restore.sh", copy, restored.database)
            restored.run(sys.executable, BACKUP / "artifacts.py", backup / "artifacts", restored.artifacts)
            restored.run(sys.executable, BASE / "mlflow_store.py", "wait")
            restored.start()
            anew = logged_in(restored, monkeypatch)
            after = champion(anew)
            assert (after.version, after.run_id, after.tags) == (before.version, before.run_id, before.tags)
            assert {run.info.run_id: (run.data.metrics, run.data.tags) for run in runs(anew)} == history
            assert files_of(restored, monkeypatch, tmp_path / "after") == files

    def test_a_database_that_holds_something_is_not_restored_into(self, server, backup):
        (copy,) = backup.glob("*.dump")
        done = subprocess.run(
            ["bash", BACKUP / "restore.sh", copy, server.database],
            env=server.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "restore into one that is empty" in done.stderr

    def test_a_second_backup_copies_only_what_is_new(self, server, backup):
        report = server.run(sys.executable, BACKUP / "artifacts.py", server.artifacts, backup / "artifacts")
        assert re.match(r"[1-9]\d* files, 0 of them copied", report)
        assert len(list(backup.glob("*.dump"))) == 1

    def test_only_the_newest_copies_stay(self, server, tmp_path):
        for day in range(1, 5):
            (tmp_path / f"mlflow-2026010{day}T000000Z.dump").touch()
        (tmp_path / "of-another.dump").touch()
        server.run("bash", BACKUP / "database.sh", server.database, tmp_path, "2")
        kept = sorted(file.name for file in tmp_path.glob("mlflow-*"))
        assert len(kept) == 2
        assert kept[0] == "mlflow-20260104T000000Z.dump"
        assert (tmp_path / "of-another.dump").exists()


def test_a_server_that_is_killed_in_register_is_waited_for_and_makes_one_version_only(server, ran, monkeypatch):
    """The last one: it registers anew what the others have looked at."""
    before = logged_in(server, monkeypatch).search_model_versions("name='visage'")
    logs = len(list(ran.glob("logs/*/register.log")))
    run = started(server, ran, "--set", "evaluate.resamples=150")  # another evaluation is another version
    try:
        while len(list(ran.glob("logs/*/register.log"))) == logs:
            assert run.poll() is None
            time.sleep(0.05)
        server.kill()
        time.sleep(3)
        server.start()
        assert run.wait(timeout=600) == 0, (ran.parent / "out").read_text()
    finally:
        run.kill()
    client = logged_in(server, monkeypatch)
    assert len(client.search_model_versions("name='visage'")) == len(before) + 1
    statuses = {run.info.status for run in runs(client)}
    assert statuses == {"FINISHED"}
