"""What a pipeline run is known by: the owner of its root, and its tags."""

import shutil
import subprocess

import pytest

from components.step import imports
from pipeline.pipeline_run import PipelineRun, git_commit, new_key, owner_of, run_tags


def test_tags_begin_with_what_people_look_for_and_end_with_what_only_the_pipeline_reads():
    run = PipelineRun(
        "key", "demo", "/root", commit="c0ffee", owner="mark", kubeflow="https://kubeflow.example.com/run"
    )
    shown = [name for name in run_tags(run, "train") if not name.startswith("mlflow.")]
    assert shown[:4] == ["visage.step", "visage.recipe", "visage.git_commit", "visage.kubeflow_run"]
    assert shown[-2:] == ["visage.lock", "visage.owner"]


def test_runs_that_begin_in_the_same_second_in_processes_of_one_number_are_two():
    keys = [new_key("score") for _ in range(100)]
    assert len(set(keys)) == 100
    assert [key[:19] for key in keys] == sorted(key[:19] for key in keys)
    assert all(key.endswith("-score") for key in keys)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of somebody's, with one file, in which the project lies in a folder of its own."""
    monkeypatch.delenv("VISAGE_GIT_COMMIT", raising=False)
    monkeypatch.setattr(imports, "PROJECT", tmp_path / "libraries")
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "setup.py").write_text("")
    (tmp_path / "theirs.py").write_text("")

    def git(*arguments: str) -> str:
        named = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        command = ["git", "-C", str(tmp_path), *named, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet")
    git("add", "theirs.py")
    git("commit", "--quiet", "--message", "theirs")
    return git


def test_the_commit_is_that_of_the_projects_checkout_and_of_no_repository_that_it_is_installed_in(repository):
    assert git_commit() == ""
    repository("add", "libraries")
    repository("commit", "--quiet", "--message", "ours")
    assert git_commit() == repository("rev-parse", "HEAD")
    (imports.PROJECT / "setup.py").write_text("changed")
    assert git_commit() == repository("rev-parse", "HEAD") + "-dirty"


def test_a_copy_of_a_root_is_another_owner_and_a_root_that_was_moved_is_not(tmp_path):
    (tmp_path / "root").mkdir()
    mark = owner_of(tmp_path / "root")
    assert owner_of(tmp_path / "root") == mark
    shutil.copytree(tmp_path / "root", tmp_path / "copy")
    assert owner_of(tmp_path / "copy") != mark
    (tmp_path / "root").rename(tmp_path / "moved")
    assert owner_of(tmp_path / "moved") == mark
