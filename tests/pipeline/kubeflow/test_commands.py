"""Every command of the compiled pipeline, run as Kubeflow runs them: a process each, on a disk of its own, in their order.

Two nights on the same photos. In the first, the pod of the train step is evicted and the step tried again.
"""

import io
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from rich.console import Console

from pipeline import dag, recipe
from pipeline.demo.archive import draw_archive
from pipeline.kubeflow.cluster_profile import ClusterProfile
from pipeline.kubeflow.compile import compile_pipeline
from pipeline.local import runner
from pipeline.local.display import Display
from schemas.artifact import read_manifest
from tests.pipeline.kubeflow.launcher import Run
from tests.pipeline.kubeflow.test_compile import documents

pytest.importorskip("kfp", reason="the extra [kubeflow] is not installed")
pytestmark = pytest.mark.slow

NAMES = [step.name for step in dag.STEPS]


@dataclass
class Night:
    """A run of the pipeline, and what its containers said, by step; of a step that was tried again, all tries."""

    run: Run
    logs: dict[str, list[str]] = field(default_factory=dict)
    codes: dict[str, list[int]] = field(default_factory=dict)

    def do(self, name: str, end_after: str = "") -> None:
        code, log = self.run.do(name, end_after)
        self.codes.setdefault(name, []).append(code)
        self.logs.setdefault(name, []).append(log)


@pytest.fixture(scope="module")
def place(tmp_path_factory, empty_registry):
    place = tmp_path_factory.mktemp("cluster")
    shutil.copyfile(empty_registry, place / "mlflow.db")
    draw_archive(place / "photos", photos=200, seed=3)
    return place


@pytest.fixture(scope="module")
def chosen(place):
    small = [
        f"source.path={place / 'photos'}",
        f"score.photos=[{place / 'photos' / 'album.zip'}]",
        "train.epochs=6",
        "train.average=0",
        "evaluate.resamples=100",
        "evaluate.blessing={min_examples: 1, max_baseline_ratio: 100, min_gender_accuracy: 0, beat_baseline: false, "
        "fresh_process: false}",
    ]
    return recipe.load("demo", small)


@pytest.fixture(scope="module")
def pipeline(place, chosen):
    profile = ClusterProfile.model_validate(
        {
            "tracking_uri": f"sqlite:///{place}/mlflow.db",
            "artifact_store": str(place / "store"),
            "image_folders": [str(place)],
            "links": {"kubeflow": "https://kubeflow.example.com", "mlflow": "https://mlflow.example.com"},
        }
    )
    compile_pipeline(chosen, profile, place / "visage.yaml")
    return documents(place / "visage.yaml")[0]


@pytest.fixture(scope="module")
def first(pipeline, place):
    night = Night(Run(pipeline, place, "night-1", {}))
    for name in night.run.order():
        if name == "train":
            night.do(name, end_after="epoch 2 of 6")
        night.do(name)
        assert night.codes[name][-1] == 0, night.logs[name][-1]
    night.do("end-run")
    return night


@pytest.fixture(scope="module")
def second(pipeline, place, first):
    night = Night(Run(pipeline, place, "night-2", {}))
    for name in night.run.order():
        night.do(name)
        assert night.codes[name] == [0], night.logs[name]
    night.do("end-run")
    return night


@pytest.fixture(scope="module")
def local(chosen, tmp_path_factory, empty_registry):
    root = tmp_path_factory.mktemp("root")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return runner.run(chosen, root, Display(Console(file=io.StringIO())))


def files(folder: Path) -> set[str]:
    """Names of the files of an artifact; of those whose names hold a time or a host, the folder alone."""
    found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    return {name if "tfevents" not in name else str(Path(name).parent) for name in found}


def test_an_evicted_training_goes_on_from_its_last_epoch_on_a_new_disk(first):
    assert first.codes["train"] == [130, 0]
    evicted, again = first.logs["train"]
    assert "epoch 2 of 6" in evicted and "epoch 6 of 6" not in evicted
    assert "goes on after epoch" in again
    assert "epoch 1 of 6" not in again and "epoch 6 of 6" in again
    assert read_manifest(first.run.artifact("train")).counts["epochs"] == 6


def test_a_second_night_on_the_same_photos_reuses_all_that_is_as_it_was(first, second, place):
    assert [name for name in NAMES if "reused from" in second.logs[name][0]] == NAMES
    for name in NAMES:
        assert read_manifest(second.run.artifact(name)) == read_manifest(first.run.artifact(name))
        assert files(second.run.artifact(name)) == files(first.run.artifact(name))


def test_nothing_unfinished_stays(first, second, place):
    assert not [file for file in (place / "store" / "unfinished").rglob("*") if file.is_file()]


def test_kubeflow_shows_pages_figures_and_the_model(first, second):
    for night in (first, second):
        for name in NAMES:
            assert "<html" in night.run.artifact(name, "page").read_text()
        assert "data:image/png" in night.run.artifact("train", "page").read_text()
        metadata = night.run.metadata
        assert metadata["register", "artifact"]["registry_uri"] == "models:/visage/1"
        assert (
            metadata["ingest", "metrics"]["examples"] == read_manifest(night.run.artifact("ingest")).counts["examples"]
        )
        assert metadata["train", "metrics"]["epochs"] == 6


def test_the_run_in_mlflow_has_ended_and_leads_to_kubeflows_and_back(first, second, place):
    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    [experiment] = [one.experiment_id for one in client.search_experiments() if one.name == "visage"]
    for night in (first, second):
        key = night.run.run_id
        assert night.codes["end-run"] == [0]
        runs = client.search_runs([experiment], f"tags.`visage.run` = '{key}'")
        [parent] = [run for run in runs if run.data.tags["visage.step"] == "pipeline"]
        assert parent.info.status == "FINISHED"
        assert parent.data.tags["visage.kubeflow_run"] == f"https://kubeflow.example.com/#/runs/details/{key}"
        assert parent.data.tags["visage.data_fingerprint"] == read_manifest(night.run.artifact("ingest")).fingerprint
        runs_of = {run.info.run_id for run in runs}
        for name in NAMES:
            address = night.run.metadata[name, "artifact"]["mlflow_run"]
            assert address.startswith(f"https://mlflow.example.com/#/experiments/{experiment}/runs/")
            assert address.rpartition("/")[2].partition("?")[0] in runs_of
    statuses = sorted(
        run.info.status
        for run in client.search_runs([experiment], "tags.`visage.run` = 'night-1' and tags.`visage.step` = 'train'")
    )
    assert statuses == ["FINISHED", "KILLED"]


def test_a_run_of_which_a_step_failed_ends_as_failed(pipeline, place, first):
    """As whoever starts the run gives it photos that are not there."""
    run = Run(pipeline, place, "night-3", {})
    run.settings = json.loads(json.dumps(run.settings)) | {"source": {"path": str(place / "missing")}}
    code, log = run.do("ingest")
    assert code != 0 and "missing" in log
    code, log = run.do("end-run")
    assert (code, log.strip()) == (0, "night-3: FAILED")


def test_every_artifact_is_the_local_runners(first, local):
    for name in NAMES:
        there, here = first.run.artifact(name), local.artifacts[name]
        assert files(there) == files(here), name
        assert read_manifest(there).settings == read_manifest(here).settings
    ingested = {path.name: path.read_bytes() for path in first.run.artifact("ingest").rglob("*.tfrecord*")}
    assert ingested
    assert ingested == {path.name: path.read_bytes() for path in local.artifacts["ingest"].rglob("*.tfrecord*")}
    assert read_manifest(first.run.artifact("ingest")).fingerprint == local.manifests["ingest"].fingerprint
    scores = [pq.read_table(folder / "scores") for folder in (first.run.artifact("score"), local.artifacts["score"])]
    assert scores[0].column("path") == scores[1].column("path")
