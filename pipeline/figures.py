"""What MLflow keeps of a step: figures as they come and when it is done, its tags, its data sets, and the files worth showing."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from components.registry import datasets
from components.registry.mlflow_server import explaining_mlflow_errors
from components.step import Step, Tracker, identity
from pipeline.metric_queue import MetricQueue
from schemas.artifact import Manifest, read_manifest
from schemas.redaction import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowTracker(Tracker):
    """Sends metrics and tags to a run of MLflow while the step goes on, and progress to whoever watches."""

    def __init__(self, client: "MlflowClient", run_id: str, watcher: Tracker) -> None:
        self.client, self.run_id, self.watcher = client, run_id, watcher
        self.logged: set[str] = set()
        self.queue = MetricQueue(client, run_id)

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self.watcher.metric(name, value, step)
        self.logged.add(name)
        self.queue.metric(name, value, step)

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self.watcher.progress(done, total, unit)

    def tag(self, name: str, value: str) -> None:
        self.watcher.tag(name, value)
        self.queue.tag(name, redact(value))

    def reports(self, folder: Path, globs: Sequence[str]) -> None:
        with explaining_mlflow_errors():
            for file in sorted({file for pattern in globs for file in folder.glob(pattern)}):
                inside = file.relative_to(folder).parent
                self.client.log_artifact(self.run_id, str(file), None if inside == Path() else str(inside))


def record(
    tracker: MlflowTracker,
    step: Step,
    manifest: Manifest,
    folder: Path,
    inputs: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Keep in the child run what came out: counts, time, lineage, data sets and the files worth showing.

    Args:
        tracker: of the child run.
        step: that ran.
        manifest: of what it made.
        folder: of what it made.
        inputs: folder of every input artifact, by the input's name.
    """
    client, run_id = tracker.client, tracker.run_id
    ingested = manifest if step.name == "ingest" else read_manifest(inputs["ingest"]) if "ingest" in inputs else None
    with explaining_mlflow_errors():
        if ingested and step.splits:
            dataset_inputs = datasets.of_splits(ingested, step.splits)
            for run in (run_id, client.get_run(run_id).data.tags["mlflow.parentRunId"]):
                client.log_inputs(run, dataset_inputs)
        # What was logged has a course of epochs already, and this would be one point more.
        counts = {name: value for name, value in manifest.counts.items() if name not in tracker.logged}
        texts = {name: str(value) for name, value in counts.items() if isinstance(value, str | bool)}
        input_tags = {f"{identity.INPUT_TAG}{source}": digest for source, digest in manifest.inputs.items()}
        figures = {"seconds": manifest.seconds, **{name: value for name, value in counts.items() if name not in texts}}
        send(client, run_id, figures, {**texts, "visage.fingerprint": manifest.fingerprint, **input_tags})
        if step.name == "ingest":
            parent = client.get_run(run_id).data.tags["mlflow.parentRunId"]
            client.set_tag(parent, "visage.data_fingerprint", manifest.fingerprint)
    tracker.reports(folder, step.report_globs)


def send(client: "MlflowClient", run_id: str, figures: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """Send figures and tags to a run at once; MLflow's client makes as many requests of it as its limits want.

    What is no number among the figures is left out.
    """
    from mlflow.entities import Metric, RunTag

    timestamp = time.time_ns() // 1_000_000
    metrics = [
        Metric(name, float(value), timestamp, 0) for name, value in figures.items() if isinstance(value, int | float)
    ]
    client.log_batch(run_id, metrics, tags=[RunTag(name, value) for name, value in tags.items()])
