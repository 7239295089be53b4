"""From photos to a registered model and scores: the real DAG on a small drawn archive, as a person starts it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlparse

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from pipeline import tracking
from pipeline.dag import STEPS
from pipeline.demo.archive import draw_archive
from schemas.artifact import MANIFEST
from tests import browser, preloaded

NAMES = [step.name for step in STEPS]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "archive"
    draw_archive(folder, photos=240, seed=3)
    return folder


def command(archive: Path, root: Path, *more: str) -> list[str]:
    small = [f"source.path={archive}", f"score.photos=[{archive / 'album.zip'}]", "train.epochs=2", *more]
    settings = [part for pair in small for part in ("--set", pair)]
    return [sys.executable, "-m", "pipeline.cli", "run", "--recipe", "demo", "--root", str(root), *settings]


def outcome_of(command: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    return process.returncode, process.stdout, process.stderr


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}


def run(archive: Path, root: Path, *more: str) -> tuple[int, str, str]:
    return outcome_of(command(archive, root, *more))


@pytest.fixture
def visage(tmp_path) -> Callable[..., tuple[int, str, str]]:
    """Starts a `visage` command in a process that has its libraries already; gives exit code, output and errors."""

    def visage(*arguments: str | Path) -> tuple[int, str, str]:
        files = tmp_path / "said.txt", tmp_path / "errors.txt"
        process = preloaded.visage([str(argument) for argument in arguments], tmp_path, environment(), *files)
        process.join()
        return process.exitcode, files[0].read_text(), files[1].read_text()

    return visage


@pytest.fixture(scope="module")
def finished(archive, tmp_path_factory):
    root = tmp_path_factory.mktemp("pipeline root")
    code, output, errors = run(archive, root)
    assert code == 0, errors
    return root, output


def artifact(root: Path, step: str) -> Path:
    (manifest,) = (root / "artifacts" / step).glob(f"[!.]*/{MANIFEST}")
    return manifest.parent


def test_the_last_screenful_tells_rows_quality_model_scores_and_the_way_to_the_ui(archive, finished):
    root, output = finished
    expected = json.loads((archive / "expected.json").read_text())
    rejects = sum(expected["rejects"].values())
    assert f"{expected['rows']:,} rows = {expected['examples']:,} examples + {rejects:,} rejects" in output
    for reason, count in expected["rejects"].items():
        assert f"{reason} {count:,}" in output
    metrics = json.loads((artifact(root, "evaluate") / "metrics.json").read_text())
    (mae,) = (line for line in output.splitlines() if "age MAE, years" in line)
    assert f"{metrics['age_mae']:.2f}" in mae
    assert f"{metrics['baseline_age_mae']:.2f}" in mae
    assert "visage version 1, alias" in output
    assert str(artifact(root, "score") / "scores") in output.replace("\n", "")
    assert "visage ui" in output


def test_a_second_run_reuses_every_step(archive, finished):
    root, _ = finished
    code, output, _ = run(archive, root)
    assert code == 0
    assert [line.split()[0] for line in output.splitlines() if line.endswith(" reused")] == NAMES


def test_the_registry_holds_one_version_with_signature_example_description_and_lineage(finished):
    root, _ = finished
    client = MlflowClient(tracking.local_store(root))
    (version,) = client.search_model_versions("name='visage'")
    assert version.description
    assert version.tags["visage.recipe"] == "demo"
    assert version.tags["visage.lock"]
    aliases = client.get_registered_model("visage").aliases
    assert list(aliases) in (["champion"], ["challenger"])


def test_mlflow_has_epochs_as_they_came_and_the_pages_of_the_steps(finished):
    root, _ = finished
    client = MlflowClient(tracking.local_store(root))
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment is not None
    children = {
        run.data.tags["visage.step"]: run.info.run_id
        for run in client.search_runs([experiment.experiment_id], "tags.`visage.step` != 'pipeline'")
    }
    assert set(children) == set(NAMES)
    history = client.get_metric_history(children["train"], "val_age_mae")
    assert [figure.step for figure in history] == [1, 2, 2], "two epochs, and the weights that were kept"
    for step, file in (("ingest", "summary.json"), ("evaluate", "metrics.json"), ("train", "curves.png")):
        assert file in [entry.path for entry in client.list_artifacts(children[step])], step


def test_mlflow_shows_the_experiment_as_training_with_source_and_data_sets(finished):
    root, _ = finished
    client = MlflowClient(tracking.local_store(root))
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`visage.step` = 'pipeline'")
    assert parent.data.tags["mlflow.source.name"] == "visage run --recipe demo"
    summary = json.loads((artifact(root, "ingest") / "summary.json").read_text())
    assert parent.inputs
    rows = {
        entry.tags[0].value: json.loads(entry.dataset.profile or "")["num_rows"]
        for entry in parent.inputs.dataset_inputs
    }
    assert rows == {
        "training": summary["train"],
        "validation": summary["validation"],
        "testing": summary["test"],
    }


def test_every_page_of_the_run_fits_a_phone_and_links_to_the_others(finished):
    root, output = finished
    pages = [root / "index.html", *(root / "artifacts").glob("*/[!.]*/*.html")]
    assert {page.parent.parent.name for page in pages[1:]} == set(NAMES)
    assert pages[0].as_uri() in output
    for page in pages:
        rendered = browser.look(page)
        assert (rendered.console, rendered.overflow, rendered.broken, rendered.without_alt, rendered.unsorted) == (
            [],
            0,
            0,
            0,
            0,
        ), page
        files = [unquote(urlparse(link).path) for link in rendered.links if "#" not in link]
        assert files and all(Path(file).exists() for file in files), page


def test_every_photo_of_the_album_is_scored_or_rejected(archive, finished):
    root, _ = finished
    album = json.loads((archive / "expected.json").read_text())["album"]
    score = artifact(root, "score")
    scored = len(set(pq.read_table(score / "scores")["path"].to_pylist()))
    rejects = pq.read_table(score / "rejects.parquet").num_rows
    assert (scored, rejects) == (album["photos"] - album["broken"], album["broken"])


def test_versions_are_listed_and_moved_from_the_command_line(finished, visage):
    root, _ = finished
    forced = ("--force", "--reason", "it learned for two epochs only")
    assert visage("models", "promote", "1", *forced, "--root", root)[1].strip() == "visage version 1 is champion"
    code, listed, _ = visage("models", "--root", root)
    assert code == 0
    assert "champion" in listed
    assert "visage/1" in visage("models", "show", "@champion", "--root", root)[1]
    code, _, errors = visage("models", "promote", "7", "--root", root)
    assert code == 1
    assert "has no version 7" in errors
    assert "holds no runs and no models yet" in visage("models", "--root", root / "elsewhere")[2]


def test_an_archive_is_scored_outside_the_dag_once_and_nothing_else_is_overwritten(archive, finished, visage, tmp_path):
    root, _ = finished
    visage("models", "promote", "1", "--root", root)
    score = ("score", archive / "album.zip", "--root", root, "--out")
    code, _, errors = visage(*score, tmp_path / "scores")
    assert code == 0, errors
    in_the_dag = pq.read_table(artifact(root, "score") / "scores").to_pylist()
    outside = pq.read_table(tmp_path / "scores" / "scores").to_pylist()
    assert sorted((row["path"], row["face_index"] or 0, row["age"] or 0) for row in outside) == sorted(
        (row["path"], row["face_index"] or 0, row["age"] or 0) for row in in_the_dag
    )
    assert "this job is done already" in visage(*score, tmp_path / "scores")[1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("x")
    code, _, errors = visage(*score, tmp_path / "mine")
    assert code == 2
    assert "holds something else" in errors
    assert (tmp_path / "mine" / "precious.txt").exists()


def test_one_photo_is_a_table_for_a_person(archive, finished, visage):
    root, _ = finished
    visage("models", "promote", "1", "--root", root)
    photo = max((photo for photo in archive.glob("*/*.jpg")), key=lambda photo: photo.stat().st_size)
    code, output, _ = visage("score", photo, "--faces", "whole", "--root", root)
    assert code == 0
    assert "90 % between" in output
    assert "by visage version 1" in output


@pytest.mark.timeout(1500)  # seven starts
def test_killed_in_every_step_the_same_command_completes_with_the_same_counts(archive, finished, tmp_path):
    root = tmp_path / "root"
    quick = "evaluate.blessing.fresh_process=false"  # the run that is not killed has that process
    for step in NAMES:
        process = subprocess.Popen(
            command(archive, root, quick), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        here = root / "artifacts" / step
        while not list(here.glob(".*.partial")):
            assert process.poll() is None, f"the run ended before {step} began"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    code, output, errors = run(archive, root, quick)
    assert code == 0, errors
    assert output.count(" reused\n") >= 4
    whole = finished[0]
    for step in ("ingest", "evaluate", "score"):
        before, after = (
            json.loads((artifact(place, step) / MANIFEST).read_text())["counts"] for place in (whole, root)
        )
        for count in ("rows", "examples", "photos", "faces"):
            assert after.get(count) == before.get(count), f"{step}: {count}"
    assert len(MlflowClient(tracking.local_store(root)).search_model_versions("name='visage'")) == 1
    assert not list(root.glob("artifacts/*/.*.partial"))


def broken(archive: Path, folder: Path, defect: str) -> Path:
    """A copy of the archive without its photos' folders, or with a defect of its .mat."""
    copy = folder / "copy"
    shutil.copytree(archive, copy)
    mat = copy / "imdb.mat"
    if defect == "no .mat":
        mat.unlink()
    elif defect == "cut short":
        mat.write_bytes(mat.read_bytes()[:3000])
    elif defect == "no photos":
        for place in copy.iterdir():
            if place.is_dir():
                shutil.rmtree(place)
    return copy


@pytest.fixture
def empty_root(tmp_path, empty_registry) -> Path:
    """A root without a run; its store is there already."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copyfile(empty_registry, root / "mlflow.db")
    return root


@pytest.mark.parametrize(
    ("defect", "more", "step", "message"),
    [
        ("no .mat", [], "ingest", ".mat"),
        ("cut short", [], "ingest", "imdb.mat"),
        ("no photos", [], "ingest", "photo"),
        ("", ["ingest.filter.min_face_score=1000"], "ingest", "low_face_score"),
        ("", ["ingest.split.test=0"], "validate", "test holds no examples"),
    ],
)
def test_bad_input_is_one_message_that_names_step_log_and_the_way_on(
    archive, tmp_path, empty_root, defect, more, step, message
):
    code, _, errors = run(broken(archive, tmp_path, defect), empty_root, *more)
    assert code in (1, 2)
    assert f"The step {step} failed" in errors
    assert message in errors
    assert "Log: " in errors
    assert "To go on from this step: visage run" in errors
    assert "Traceback" not in errors


def test_a_folder_that_does_not_exist_is_wrong_usage(tmp_path, empty_root):
    code, _, errors = run(tmp_path / "nowhere", empty_root)
    assert code == 2
    assert "nowhere" in errors
