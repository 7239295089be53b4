"""The registry: references, aliases, files, and a server that is not there."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from components import registry
from components.registry import history, mlflow_server, model_versions
from components.registry.mlflow_server import client
from schemas.error import VisageError


@pytest.fixture(scope="module")
def address(tmp_path_factory, empty_registry) -> str:
    """A registry with the models `faces` (versions 1 to 3, champion 2) and `other` (no version)."""
    root = tmp_path_factory.mktemp("registry")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    address = f"sqlite:///{root / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", address)
        patch.chdir(root)
        mlflow_client = client()
        for name in ("faces", "other"):
            mlflow_client.create_registered_model(name)
        for number in range(1, 4):
            files = root / f"model-{number}" / "artifacts"
            (files / "estimator").mkdir(parents=True)
            (files / "photo.json").write_text("{}")
            mlflow_client.create_model_version(
                "faces", (root / f"model-{number}").as_uri(), tags={"made": f"{number % 2}"}
            )
        mlflow_client.create_model_version("faces", (root / "gone").as_uri())
        mlflow_client.set_registered_model_alias("faces", "champion", "2")
    return address


@pytest.fixture
def own_registry(address, tmp_path, monkeypatch):
    """A copy of that registry for one test."""
    registry_of_its_own(address, tmp_path / "mlflow.db", monkeypatch)


def registry_of_its_own(address: str, database: Path, monkeypatch) -> None:
    shutil.copyfile(address.removeprefix("sqlite:///"), database)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")


class TestReferences:
    @pytest.mark.parametrize(
        ("reference", "version"),
        [("faces@champion", "2"), ("faces", "2"), ("faces/3", "3"), ("models:/faces/1", "1"), (" faces/1 ", "1")],
    )
    def test_a_reference_is_resolved_to_a_version(self, own_registry, reference, version):
        assert registry.resolve(reference).version == version

    def test_an_alias_comes_with_the_version(self, own_registry):
        assert registry.resolve("faces/2").aliases == ("champion",)
        assert registry.resolve("faces/1").aliases == ()

    def test_an_unknown_model_names_those_that_exist(self, own_registry):
        with pytest.raises(VisageError, match=r"no registered model 'visage'.*faces, other"):
            registry.resolve("visage@champion")

    def test_an_unknown_alias_names_those_that_exist(self, own_registry):
        with pytest.raises(VisageError, match="no alias 'best'; aliases that exist: faces@champion"):
            registry.resolve("faces@best")

    def test_an_unknown_version_names_those_that_exist(self, own_registry):
        with pytest.raises(VisageError, match="no version 9; the newest that exist: 4, 3, 2, 1"):
            registry.resolve("faces/9")

    @pytest.mark.parametrize("text", ["", "faces@", "faces/x", "a/b/c", "faces@a@b"])
    def test_what_is_no_reference_is_a_usage_error(self, text):
        with pytest.raises(VisageError, match="names no model version") as raised:
            registry.resolve(text)
        assert raised.value.exit_code == 2

    def test_models_and_versions_are_listed_newest_first(self, own_registry):
        assert registry.names() == ["faces", "other"]
        assert [version.version for version in registry.versions("faces")] == ["4", "3", "2", "1"]
        assert registry.versions("other") == []

    def test_a_version_is_found_by_a_tag(self, own_registry):
        version = registry.find("faces", "made", "1")
        assert version and version.version == "3"
        assert registry.find("faces", "made", "7") is None
        assert registry.find("nothing", "made", "1") is None


class TestAliases:
    def test_there_may_be_no_champion_and_no_model(self, own_registry):
        assert registry.champion("other") is None
        assert registry.champion("nothing") is None

    def test_a_promotion_moves_the_alias_and_a_rollback_moves_it_back_as_far_as_it_goes(self, own_registry):
        assert registry.promote("faces/3").aliases == ("champion",)
        assert registry.promote("faces/1").aliases == ("champion",)
        assert registry.rollback("faces").version == "3"
        assert registry.rollback("faces").version == "2"
        with pytest.raises(VisageError, match="No version of faces was champion before version 2"):
            registry.rollback("faces")

    def test_a_promoted_challenger_is_no_challenger_any_more(self, own_registry):
        assert registry.challenge(registry.resolve("faces/3")).aliases == ("challenger",)
        assert registry.promote("faces@challenger").aliases == ("champion",)
        with pytest.raises(VisageError, match="no alias 'challenger'"):
            registry.resolve("faces@challenger")

    def test_promoting_the_champion_does_not_make_it_its_own_forerunner(self, own_registry):
        registry.promote("faces/3")
        registry.promote("faces/3")
        assert registry.rollback("faces").version == "2"

    def test_a_rollback_steps_over_a_version_that_was_deleted(self, own_registry):
        registry.promote("faces/3")
        client().delete_model_version("faces", "2")
        with pytest.raises(VisageError, match="was champion before version 3"):
            registry.rollback("faces")


class Interrupting:
    """A client of MLflow that lets something else happen before one of its calls."""

    def __init__(self, real, before_call: int, happen) -> None:
        self.real, self.left, self.happen = real, before_call, happen

    def __getattr__(self, name):
        call = getattr(self.real, name)

        def counted(*arguments, **named):
            if self.left == 0:
                self.left = -1
                self.happen()
            self.left -= self.left > 0
            return call(*arguments, **named)

        return counted


def outcome() -> list[str]:
    """Who is champion, and whom rollbacks give one after another."""
    champions = [registry.resolve("faces@champion").version]
    while True:
        try:
            champions.append(registry.rollback("faces").version)
        except VisageError:
            return champions


OPERATIONS = {
    "promote 1": lambda: registry.promote("faces/1"),
    "promote 3": lambda: registry.promote("faces/3"),
    "promote 3 only if the champion is 4": lambda: registry.promote("faces/3", instead_of="4"),
    "rollback": lambda: registry.rollback("faces"),
}


class TestTwoAtOnce:
    """The state that two leave behind is one that one of their orders explains."""

    @pytest.mark.parametrize(
        ("first", "second", "explained"),
        [
            ("promote 1", "promote 3", (["1", "3", "4", "2"], ["3", "1", "4", "2"])),
            ("promote 1", "promote 3 only if the champion is 4", (["1", "3", "4", "2"], ["1", "4", "2"])),
            ("promote 3", "rollback", (["4", "2"], ["3", "2"])),
        ],
    )
    @pytest.mark.parametrize("call", range(1, 12, 2))
    def test_one_that_happens_in_the_middle_of_another(self, own_registry, monkeypatch, first, second, explained, call):
        registry.promote("faces/4")
        real = client()
        clients = [real]

        def happen():
            clients.append(real)
            OPERATIONS[second]()
            clients.pop()

        clients.append(Interrupting(real, call, happen))
        monkeypatch.setattr(model_versions, "client", lambda: clients[-1])
        OPERATIONS[first]()
        assert outcome() in explained

    def test_a_line_that_another_process_enters_at_the_same_moment_is_there_once(self, own_registry, monkeypatch):
        real = client()
        refused: list[str] = []

        class Second:
            """A client whose first new tag was set by somebody else between the store's look and its own insert."""

            def __getattr__(self, name):
                return getattr(real, name)

            def set_registered_model_tag(self, name, key, value):
                real.set_registered_model_tag(name, key, value)
                if not refused:
                    refused.append(key)
                    raise MlflowException("UNIQUE constraint failed: registered_model_tags.key")

        monkeypatch.setattr(model_versions, "client", Second)
        registry.promote("faces/3")
        assert [entry.version for entry in registry.champions("faces")] == ["2", "3"]
        assert len(refused) == 1

    @pytest.mark.slow
    def test_processes_that_promote_at_the_same_time_are_all_in_the_list(self, own_registry):
        command = [sys.executable, "-c", "import sys; from components import registry; registry.promote(sys.argv[1])"]
        running = [subprocess.Popen([*command, f"faces/{number}"]) for number in (1, 3)]
        assert [process.wait(500) for process in running] == [0, 0]
        assert sorted(entry.version for entry in registry.champions("faces")) == ["1", "2", "3"]
        assert outcome() in (["1", "3", "2"], ["3", "1", "2"])


class TestHistory:
    def test_says_who_was_made_champion_when_and_why(self, own_registry):
        registry.promote("faces/3", "it was blessed")
        registry.rollback("faces", "it was bad for children")
        entries = registry.champions("faces")
        assert [(entry.what, entry.version, entry.why) for entry in entries] == [
            ("promoted", "2", "before there was this list"),
            ("promoted", "3", "it was blessed"),
            ("rolled back", "2", "it was bad for children"),
        ]
        assert entries[1].when.startswith("20") and entries[1].who

    def test_keeps_of_a_reason_however_long_what_mlflow_has_room_for(self, own_registry):
        from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModelTag

        registry.promote("faces/3", '"写' * 10_000)
        *_, entry = registry.champions("faces")
        assert entry.why.startswith('"写"写') and entry.why.endswith("…")
        room = SqlRegisteredModelTag.__table__.c.value.type.length
        assert len(client().get_registered_model("faces").tags[entry.key]) < room

    def test_a_rollback_after_a_promotion_of_an_earlier_champion_goes_back_to_the_one_between(self, own_registry):
        registry.promote("faces/3")
        registry.promote("faces/2")
        assert outcome() == ["2", "3", "2"]

    def test_champions_from_before_there_was_the_list_are_taken_over(self, own_registry):
        client().set_model_version_tag("faces", "2", "champion_before", "3")
        client().set_model_version_tag("faces", "3", "champion_before", "1")
        registry.promote("faces/4")
        assert outcome() == ["4", "2", "3", "1"]

    def test_an_alias_that_was_moved_in_mlflow_is_taken_over(self, own_registry):
        registry.promote("faces/3")
        client().set_registered_model_alias("faces", "champion", "1")
        registry.promote("faces/4")
        assert outcome() == ["4", "1", "3", "2"]

    def test_a_kill_before_the_alias_is_mended_by_the_next(self, own_registry, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(history, "settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                registry.promote("faces/3")
        assert registry.champion("faces") == registry.resolve("faces/2")
        registry.promote("faces/4")
        assert outcome() == ["4", "3", "2"]

    def test_deleting_a_version_changes_nothing_for_the_others(self, own_registry):
        for number in (1, 3, 4):
            registry.promote(f"faces/{number}")
        registry.rollback("faces")
        registry.rollback("faces")
        client().delete_model_version("faces", "3")
        registry.promote("faces/4")
        assert outcome() == ["4", "1", "2"]

    def test_a_promotion_in_the_place_of_another_champion_changes_nothing(self, own_registry):
        assert registry.promote("faces/3", instead_of="1").aliases == ()
        assert registry.promote("faces/3", instead_of="2").aliases == ("champion",)


class TestFiles:
    def test_files_in_a_local_store_are_used_where_they_are(self, own_registry, address):
        folder = registry.download(registry.resolve("faces/1"))
        assert folder.name == "artifacts" and folder.parent.name == "model-1"

    def test_a_version_without_files_is_one_message(self, own_registry):
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
            created_at = (folder / "photo.json").stat().st_ctime_ns
            assert registry.download(version) == folder and (folder / "photo.json").stat().st_ctime_ns == created_at
            assert len(list((tmp_path / "cache" / "models").iterdir())) == 1
        finally:
            server.terminate()
            server.wait(300)
        with pytest.raises(VisageError, match="does not answer"):
            registry.resolve("faces/1")


def _wait_for(port: int) -> None:
    for _ in range(3000):
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
        monkeypatch.setattr(mlflow_server, "FIRST_ANSWER", 0)
        with pytest.raises(VisageError, match="does not answer"):
            client()
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "6"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"

    def test_a_store_that_is_no_database_is_one_message(self, tmp_path, monkeypatch):
        (tmp_path / "mlflow.db").write_bytes(b"no database " * 100)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
        monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
        with pytest.raises(VisageError, match="does not answer as it should"):
            registry.names()
