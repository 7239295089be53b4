"""`visage models`: who may become champion, and what is kept of it."""

import shutil

import pytest

from components import registry
from components.registry.mlflow_server import client
from pipeline.cli import models
from schemas.error import VisageError


@pytest.fixture(scope="module")
def address(tmp_path_factory, empty_registry) -> str:
    """A registry with version 1, blessed, 2, not blessed, and 3, of a Visage that did not say."""
    root = tmp_path_factory.mktemp("registry")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    address = f"sqlite:///{root / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", address)
        patch.chdir(root)
        mlflow_client = client()
        mlflow_client.create_registered_model("visage")
        decided = {"visage.blessed": "false", "visage.decided": "There are only 28 test examples."}
        for number, tags in enumerate(({"visage.blessed": "true"}, decided, {}), 1):
            mlflow_client.create_model_version("visage", (root / f"model-{number}").as_uri(), tags=tags)
    return address


@pytest.fixture(autouse=True)
def tracking_uri(address, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)


def test_a_version_that_is_not_blessed_is_promoted_only_by_force_with_a_reason_that_is_kept(tmp_path, capsys):
    models.run("promote", "visage", "1", tmp_path)
    for version, why in (("2", "it is not blessed: There are only 28 test examples"), ("3", "not known to be blessed")):
        for options in ({}, {"force": True}, {"reason": "looked through by hand"}):
            with pytest.raises(VisageError, match=why) as caught:
                models.run("promote", "visage", version, tmp_path, **options)
            assert f"promote {version} --force --reason" in caught.value.hint
    assert registry.resolve("visage@champion").version == "1"
    models.run("promote", "visage", "2", tmp_path, "looked through by hand", force=True)
    models.run("promote", "visage", "3", tmp_path, "it was champion elsewhere", force=True)
    models.run("rollback", "visage", "", tmp_path, "bad for children")
    models.run("rollback", "visage", "", tmp_path)
    assert registry.resolve("visage@champion").version == "1"
    assert [(entry.what, entry.version, entry.why) for entry in registry.champions("visage")] == [
        ("promoted", "1", "visage models promote"),
        ("promoted", "2", "looked through by hand (forced: it is not blessed: There are only 28 test examples.)"),
        ("promoted", "3", "it was champion elsewhere (forced: it is not known to be blessed)"),
        ("rolled back", "2", "bad for children"),
        ("rolled back", "1", "visage models rollback"),
    ]
    capsys.readouterr()
    models.run("history", "visage", "", tmp_path)
    shown = capsys.readouterr().out
    assert "bad for children" in shown and shown.count("rolled back") == 2


@pytest.mark.parametrize("action", ["rollback", "list", "history"])
def test_a_version_that_would_not_be_looked_at_is_refused(action, tmp_path):
    """`rollback 2` must not pass for the way to version 2."""
    before = registry.champions("visage")
    with pytest.raises(VisageError, match=f"{action} takes no version") as caught:
        models.run(action, "visage", "2", tmp_path)
    assert ("promote 2" in caught.value.hint) == (action == "rollback")
    assert registry.champions("visage") == before


def test_a_name_is_shown_as_it_is_written(tmp_path, capsys):
    client().create_registered_model("[faces]")
    client().create_model_version("[faces]", tmp_path.as_uri(), tags={"visage.recipe": "my [best].yaml"})
    models.run("list", "[faces]", "", tmp_path)
    assert "my [best].yaml" in capsys.readouterr().out
    models.run("promote", "[faces]", "1", tmp_path, "[looked] through :key:", force=True)
    assert capsys.readouterr().out == "[faces] version 1 is champion\n"
    models.run("history", "[faces]", "", tmp_path)
    assert "[looked] through :key:" in capsys.readouterr().out


def test_reason_and_force_belong_to_what_changes_the_champion(tmp_path):
    with pytest.raises(VisageError, match="list takes no --force"):
        models.run("list", "visage", "", tmp_path, force=True)
    with pytest.raises(VisageError, match="show takes no --reason"):
        models.run("show", "visage", "", tmp_path, "because")
