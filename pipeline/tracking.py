"""MLflow: one parent run a pipeline run, one child run a step, wherever the step runs.

The server is the one that MLFLOW_TRACKING_URI names; the local runner sets it to a SQLite file under the root where it is
not set. The parent is found by its tag `visage.run`, so that steps in containers of their own find the same one.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.registry import mlflow_server
from components.registry.mlflow_server import PATIENCE, explaining_mlflow_errors
from components.step import Step, Tracker, identity
from components.step.settings import Section, dotted
from schemas.artifact import Manifest
from schemas.error import VisageError
from schemas.redaction import redact, redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "visage"
RUN_TAG = "visage.run"
ROOT_TAG = "visage.root"
STEP_TAG = "visage.step"


@dataclass(frozen=True)
class PipelineRun:
    """What the runs of all steps of one pipeline run have in common.

    Attributes:
        key: names the pipeline run; the parent run carries it as a tag.
        recipe: name of the recipe.
        root: the pipeline root, for a local run; else empty.
        commit: of the project, as `git_commit` gives it.
    """

    key: str
    recipe: str
    root: str = ""
    commit: str = ""


def local_store(root: Path) -> str:
    """Tracking URI of the store under a pipeline root."""
    return f"sqlite:///{root / 'mlflow.db'}"


def use_store(root: Path) -> None:
    """Let MLflow use the store under a pipeline root, unless MLFLOW_TRACKING_URI names another.

    Raises:
        VisageError: nothing has been run under that root.
    """
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return
    root = root.absolute()
    if not (root / "mlflow.db").is_file():
        hint = "Run `visage run` first, name the root with --root, or a server with MLFLOW_TRACKING_URI."
        raise VisageError(f"{root} holds no runs and no models yet.", hint)
    os.environ["MLFLOW_TRACKING_URI"] = local_store(root)


def environment(root: Path) -> dict[str, str]:
    """MLflow's own environment variables that steps are run with; what is set already stays."""
    given = {"MLFLOW_TRACKING_URI": local_store(root), **PATIENCE}
    return {name: os.environ.get(name) or value for name, value in given.items()}


def git_commit() -> str:
    """Commit of the project's checkout, with `-dirty` where tracked files differ from it; empty where there is none.

    An image has no checkout: VISAGE_GIT_COMMIT says there what it was built from.
    """
    if os.environ.get("VISAGE_GIT_COMMIT"):
        return os.environ["VISAGE_GIT_COMMIT"]
    command = ["git", "-C", str(identity.PROJECT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


class MlflowTracker(Tracker):
    """Sends metrics and tags to a run of MLflow as they come, and progress to whoever watches."""

    def __init__(self, client: "MlflowClient", run_id: str, watcher: Tracker) -> None:
        self.client, self.run_id, self.watcher = client, run_id, watcher
        self.told: set[str] = set()

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self.watcher.metric(name, value, step)
        self.told.add(name)
        with explaining_mlflow_errors():
            self.client.log_metric(self.run_id, name, float(value), step=step)

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self.watcher.progress(done, total, unit)

    def tag(self, name: str, value: str) -> None:
        self.watcher.tag(name, value)
        with explaining_mlflow_errors():
            self.client.set_tag(self.run_id, name, redact(value))


@contextmanager
def step_run(pipeline_run: PipelineRun, step: Step, settings: Section, watcher: Tracker) -> Iterator[MlflowTracker]:
    """The child run of a step, active while the step runs.

    Raises:
        VisageError: the tracking server stays away.
    """
    with explaining_mlflow_errors():
        import mlflow

        client = mlflow_server.client()
        experiment = _experiment(client, pipeline_run.root)
        parent = _parent(client, experiment, pipeline_run)
        tags = _lineage(pipeline_run) | {STEP_TAG: step.name, "mlflow.parentRunId": parent}
        child = client.create_run(experiment, run_name=step.name, tags=tags).info.run_id
        for batch in _batches(list(redacted(dotted(settings)).items()), 100):
            client.log_batch(child, params=[mlflow.entities.Param(key, str(value)[:6000]) for key, value in batch])
        mlflow.set_experiment(experiment_id=experiment)
    try:
        with explaining_mlflow_errors():
            mlflow.start_run(run_id=child)
        yield MlflowTracker(client, child, watcher)
        with explaining_mlflow_errors():
            mlflow.end_run("FINISHED")
    except BaseException:
        _end_quietly("FAILED")
        raise


def record(tracker: MlflowTracker, step: Step, manifest: Manifest, folder: Path) -> None:
    """Keep in the child run what came out: counts, time, lineage and the files worth showing."""
    client, run_id = tracker.client, tracker.run_id
    with explaining_mlflow_errors():
        client.log_metric(run_id, "seconds", manifest.seconds)
        for name, value in manifest.counts.items():
            if name in tracker.told:
                continue  # it has a course of epochs already, and this would be one point more
            if isinstance(value, int | float) and not isinstance(value, bool):
                client.log_metric(run_id, name, float(value))
            elif isinstance(value, str | bool):
                client.set_tag(run_id, name, str(value))
        client.set_tag(run_id, "visage.fingerprint", manifest.fingerprint)
        for source, digest in manifest.inputs.items():
            client.set_tag(run_id, f"visage.input.{source}", digest)
        if step.name == "ingest":
            parent = client.get_run(run_id).data.tags["mlflow.parentRunId"]
            client.set_tag(parent, "visage.data_fingerprint", manifest.fingerprint)
        for pattern in step.report_globs:
            for file in sorted(folder.glob(pattern)):
                inside = file.relative_to(folder).parent
                client.log_artifact(run_id, str(file), None if inside == Path() else str(inside))


def note_reuse(pipeline_run: PipelineRun, reused: Mapping[str, str]) -> None:
    """Note in the parent run which steps were not run anew, with the fingerprint of the artifact that served."""
    with explaining_mlflow_errors():
        client = mlflow_server.client()
        parent = _parent(client, _experiment(client, pipeline_run.root), pipeline_run)
        for step, digest in reused.items():
            client.set_tag(parent, f"visage.reused.{step}", digest)
        if "ingest" in reused:
            client.set_tag(parent, "visage.data_fingerprint", reused["ingest"])


def close(pipeline_run: PipelineRun, status: str, figures: Mapping[str, Any]) -> None:
    """End the parent run as `FINISHED`, `FAILED` or `KILLED`, with the figures of the whole run."""
    with explaining_mlflow_errors():
        client = mlflow_server.client()
        parent = _parent(client, _experiment(client, pipeline_run.root), pipeline_run)
        for name, value in figures.items():
            if isinstance(value, int | float):
                client.log_metric(parent, name, float(value))
        client.set_terminated(parent, status)


def close_abandoned(pipeline_run: PipelineRun) -> None:
    """End the runs that killed pipeline runs on the same root left open."""
    with explaining_mlflow_errors():
        client = mlflow_server.client()
        experiment = _experiment(client, pipeline_run.root)
        for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            tags = run.data.tags  # compared here: MLflow's query language has no way to write every path
            if tags.get(ROOT_TAG) == pipeline_run.root and tags.get(RUN_TAG) != pipeline_run.key:
                client.set_terminated(run.info.run_id, "KILLED")


def _experiment(client: "MlflowClient", root: str) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found:
        return found.experiment_id
    local = root and os.environ.get("MLFLOW_TRACKING_URI", "").startswith("sqlite:")
    place = (Path(root) / "mlartifacts").as_uri() if local else None
    return client.create_experiment(EXPERIMENT, artifact_location=place)


def _parent(client: "MlflowClient", experiment: str, pipeline_run: PipelineRun) -> str:
    query = f"tags.`{RUN_TAG}` = '{pipeline_run.key}' and tags.`{STEP_TAG}` = 'pipeline'"
    found = client.search_runs([experiment], query, max_results=1)
    if found:
        return found[0].info.run_id
    tags = _lineage(pipeline_run) | {STEP_TAG: "pipeline"}
    name = f"{Path(pipeline_run.recipe).stem} {time.strftime('%Y-%m-%d %H:%M')}"
    return client.create_run(experiment, run_name=name, tags=tags).info.run_id


def _lineage(pipeline_run: PipelineRun) -> dict[str, str]:
    return {
        RUN_TAG: pipeline_run.key,
        ROOT_TAG: pipeline_run.root,
        "visage.recipe": pipeline_run.recipe,
        "visage.git_commit": pipeline_run.commit,
        "visage.lock": identity.of_lock(),
    }


def _end_quietly(status: str) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.end_run(status)
    except MlflowException:
        return  # the server is away; the error that brought us here says so


def _batches(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
