"""The registry: references, aliases, files, and a server that is not there."""

import os
import socket
import subprocess
import sys
import time

import pytest

from components import registry
from components.registry.mlflow_server import client
from schemas.error import VisageError


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """A registry with the models `faces` (versions 1 to 3, champion 2) and `other` (no version)."""
    root = tmp_path_factory.mktemp("registry")
    address = f"sqlite:///{root / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", address)
        patch.chdir(root)
        made = client()
        for name in ("faces", "other"):
            made.create_registered_model(name)
        for number in range(1, 4):
            files = root / f"model-{number}" / "artifacts"
            (files / "estimator").mkdir(parents=True)
            (files / "photo.json").write_text("{}")
            made.create_model_version("faces", (root / f"model-{number}").as_uri(), tags={"made": f"{number % 2}"})
        made.create_model_version("faces", (root / "gone").as_uri())
        made.set_registered_model_alias("faces", "champion", "2")
    return address


@pytest.fixture
def held(address, tmp_path, monkeypatch):
    """A copy of that registry for one test."""
    original = address.removeprefix("sqlite:///")
    with open(original, "rb") as file:  # noqa: PTH123
        (tmp_path / "mlflow.db").write_bytes(file.read())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")


class TestReferences:
    @pytest.mark.parametrize(
        ("reference", "version"),
        [("faces@champion", "2"), ("faces", "2"), ("faces/3", "3"), ("models:/faces/1", "1"), (" faces/1 ", "1")],
    )
    def test_a_reference_is_resolved_to_a_version(self, held, reference, version):
        assert registry.resolve(reference).version == version

    def test_an_alias_comes_with_the_version(self, held):
        assert registry.resolve("faces/2").aliases == ("champion",)
        assert registry.resolve("faces/1").aliases == ()

    def test_an_unknown_model_names_those_that_exist(self, held):
        with pytest.raises(VisageError, match=r"no registered model 'visage'.*faces, other"):
            registry.resolve("visage@champion")

    def test_an_unknown_alias_names_those_that_exist(self, held):
        with pytest.raises(VisageError, match="no alias 'best'; aliases that exist: faces@champion"):
            registry.resolve("faces@best")

    def test_an_unknown_version_names_those_that_exist(self, held):
        with pytest.raises(VisageError, match="no version 9; the newest that exist: 4, 3, 2, 1"):
            registry.resolve("faces/9")

    @pytest.mark.parametrize("text", ["", "faces@", "faces/x", "a/b/c", "faces@a@b"])
    def test_what_is_no_reference_is_a_usage_error(self, text):
        with pytest.raises(VisageError, match="names no model version") as raised:
            registry.resolve(text)
        assert raised.value.exit_code == 2

    def test_models_and_versions_are_listed_newest_first(self, held):
        assert registry.names() == ["faces", "other"]
        assert [version.version for version in registry.versions("faces")] == ["4", "3", "2", "1"]
        assert registry.versions("other") == []

    def test_a_version_is_found_by_a_tag(self, held):
        found = registry.find("faces", "made", "1")
        assert found and found.version == "3"
        assert registry.find("faces", "made", "7") is None
        assert registry.find("nothing", "made", "1") is None


class TestAliases:
    def test_there_may_be_no_champion_and_no_model(self, held):
        assert registry.champion("other") is None
        assert registry.champion("nothing") is None

    def test_a_promotion_moves_the_alias_and_a_rollback_moves_it_back_as_far_as_it_goes(self, held):
        assert registry.promote("faces/3").aliases == ("champion",)
        assert registry.promote("faces/1").aliases == ("champion",)
        assert registry.rollback("faces").version == "3"
        assert registry.rollback("faces").version == "2"
        with pytest.raises(VisageError, match="No version of faces was champion before version 2"):
            registry.rollback("faces")

    def test_a_promoted_challenger_is_no_challenger_any_more(self, held):
        assert registry.challenge(registry.resolve("faces/3")).aliases == ("challenger",)
        assert registry.promote("faces@challenger").aliases == ("champion",)
        with pytest.raises(VisageError, match="no alias 'challenger'"):
            registry.resolve("faces@challenger")

    def test_promoting_the_champion_does_not_make_it_its_own_forerunner(self, held):
        registry.promote("faces/3")
        registry.promote("faces/3")
        assert registry.rollback("faces").version == "2"

    def test_a_rollback_steps_over_a_version_that_was_deleted(self, held):
        registry.promote("faces/3")
        client().delete_model_version("faces", "2")
        with pytest.raises(VisageError, match="was champion before version 3"):
            registry.rollback("faces")


class TestFiles:
    def test_files_in_a_local_store_are_used_where_they_are(self, held, address):
        folder = registry.download(registry.resolve("faces/1"))
        assert folder.name == "artifacts" and folder.parent.name == "model-1"

    def test_a_version_without_files_is_one_message(self, held):
        with pytest.raises(VisageError, match=r"faces/4 cannot be used.*gone holds no estimator"):
            registry.download(registry.resolve("faces/4"))

    @pytest.mark.slow
    def test_files_behind_a_server_are_fetched_once_and_survive_the_server(self, tmp_path, monkeypatch):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        (tmp_path / "model" / "artifacts" / "estimator").mkdir(parents=True)
        (tmp_path / "model" / "artifacts" / "estimator" / "weights").write_bytes(b"1234")
        (tmp_path / "model" / "artifacts" / "photo.json").write_text("{}")
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"]
        command += ["--artifacts-destination", str(tmp_path / "kept")]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        monkeypatch.setenv("VISAGE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
        try:
            _wait_for(port)
            import mlflow

            with mlflow.start_run() as run:
                mlflow.log_artifacts(str(tmp_path / "model"), "model")
            client().create_registered_model("faces")
            client().create_model_version("faces", f"{run.info.artifact_uri}/model", run.info.run_id)
            version = registry.resolve("faces/1")
            folder = registry.download(version)
            assert (folder / "estimator" / "weights").read_bytes() == b"1234"
            assert str(folder).startswith(str(tmp_path / "cache"))
            made = (folder / "photo.json").stat().st_ctime_ns
            assert registry.download(version) == folder and (folder / "photo.json").stat().st_ctime_ns == made
            assert len(list((tmp_path / "cache" / "models").iterdir())) == 1
        finally:
            server.terminate()
            server.wait(30)
        with pytest.raises(VisageError, match="does not answer"):
            registry.resolve("faces/1")


def _wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the server does not start")


class TestTrouble:
    def test_a_server_that_is_away_is_named_without_its_password(self, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
        with pytest.raises(
            VisageError, match=r"MLflow at http://someone:\*\*\*@127.0.0.1:9 does not answer.*refused"
        ) as raised:
            registry.names()
        assert "secret" not in str(raised.value)

    def test_waiting_for_a_server_is_bounded_unless_the_environment_says_otherwise(self, monkeypatch):
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        client()
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"

    def test_a_store_that_is_no_database_is_one_message(self, tmp_path, monkeypatch):
        (tmp_path / "mlflow.db").write_bytes(b"no database " * 100)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
        monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
        with pytest.raises(VisageError, match="does not answer as it should"):
            registry.names()
