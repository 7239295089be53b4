"""What a pipeline run is known by: the owner of its root, and its tags."""

import shutil

from pipeline.pipeline_run import PipelineRun, owner_of, run_tags


def test_tags_begin_with_what_people_look_for_and_end_with_what_only_the_pipeline_reads():
    run = PipelineRun(
        "key", "demo", "/root", commit="c0ffee", owner="mark", kubeflow="https://kubeflow.example.com/run"
    )
    shown = [name for name in run_tags(run, "train") if not name.startswith("mlflow.")]
    assert shown[:4] == ["visage.step", "visage.recipe", "visage.git_commit", "visage.kubeflow_run"]
    assert shown[-2:] == ["visage.lock", "visage.owner"]


def test_a_copy_of_a_root_is_another_owner_and_a_root_that_was_moved_is_not(tmp_path):
    (tmp_path / "root").mkdir()
    mark = owner_of(tmp_path / "root")
    assert owner_of(tmp_path / "root") == mark
    shutil.copytree(tmp_path / "root", tmp_path / "copy")
    assert owner_of(tmp_path / "copy") != mark
    (tmp_path / "root").rename(tmp_path / "moved")
    assert owner_of(tmp_path / "moved") == mark
