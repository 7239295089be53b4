"""MLflow: one parent run a pipeline run, one child run a step, wherever the step runs.

The server is the one that MLFLOW_TRACKING_URI names; the local runner sets it to a SQLite file under the root where it is
not set. The parent is found by its tag `visage.run`, so that steps in containers of their own find the same one. Every run
ends: FINISHED, FAILED, or KILLED; what was killed with all that could have said so is ended by the next run of its owner.
"""

import os
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.registry import mlflow_server
from components.registry.mlflow_server import AS_MODEL_TRAINING, PATIENCE, explaining_mlflow_errors
from components.step import Step, Tracker
from components.step.settings import Section, dotted
from pipeline import figures
from pipeline.figures import MlflowTracker
from pipeline.pipeline_run import OWNER_TAG, RUN_TAG, STEP_TAG, TRY_TAG, PipelineRun, run_tags
from schemas.error import VisageError
from schemas.redaction import redact, redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "visage"
_REUSED = "visage.reused."

_KIND, _MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
"""Tag by which MLflow 3 knows an experiment as model training and not as one of language models."""

_ABOUT = (
    "One run a pipeline run, with a child run a step. The figures of all steps stand in the pipeline run as `STEP.name`; the "
    "model, its card and its plots in the child run `register`, pages of the other steps in theirs."
)
"""The experiment's description."""


def local_store(root: Path) -> str:
    """Tracking URI of the store under a pipeline root.

    Raises:
        VisageError: no such address can name it.
    """
    if "?" in str(root):  # what follows it would be options, and the store lie in another place
        raise VisageError(
            f"The pipeline root {root} has a ? in its path, which the address of MLflow's store cannot have.",
            "Name another with --root, or a server with MLFLOW_TRACKING_URI.",
            usage=True,
        )
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
    """MLflow's own environment variables that steps are run with; what is set already stays.

    Raises:
        VisageError: none is set that names a store, and none can be under that root.
    """
    store = os.environ.get("MLFLOW_TRACKING_URI") or local_store(root)
    return {"MLFLOW_TRACKING_URI": store} | {name: os.environ.get(name) or value for name, value in PATIENCE.items()}


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
        parent = _open_parent(client, experiment, pipeline_run)
        tags = run_tags(pipeline_run, step.name) | {"mlflow.parentRunId": parent}
        child = _made_once(client, experiment, step.name, tags)
        for run in (child, parent):
            _log_settings(client, run, settings)
        mlflow.set_experiment(experiment_id=experiment)
    tracker = MlflowTracker(client, child, watcher)
    try:
        with explaining_mlflow_errors():
            mlflow.start_run(run_id=child)
        yield tracker
        tracker.queue.flush()
        with explaining_mlflow_errors():
            _move_to_parent(client, child, experiment, pipeline_run)
            mlflow.end_run("FINISHED")
    except BaseException as error:
        with suppress(VisageError):  # if the server is away too, the step's own failure is what must be told
            tracker.queue.flush()
        _end_quietly("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    finally:
        tracker.queue.close()


def record_reuse(pipeline_run: PipelineRun, step: Step, fingerprint: str, settings: Section) -> str:
    """Keep in the parent run that a step was not run, as its artifact was there, and its settings; gives the parent's id.

    Raises:
        VisageError: the tracking server stays away.
    """
    with explaining_mlflow_errors():
        client = mlflow_server.client()
        parent = _open_parent(client, _experiment(client, pipeline_run.root), pipeline_run)
        figures.send(client, parent, {}, _tags_of_reused({step.name: fingerprint}))
        _log_settings(client, parent, settings)
    return parent


def page_of(run_id: str, server: str) -> str:
    """The address of a run in MLflow's user interface; empty where the server has none.

    Args:
        run_id: of the run.
        server: as a browser has it.
    """
    if not server.startswith(("http://", "https://")):
        return ""
    with explaining_mlflow_errors():
        experiment = mlflow_server.client().get_run(run_id).info.experiment_id
    return redact(f"{server.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}?{AS_MODEL_TRAINING}")


@contextmanager
def parent_run(pipeline_run: PipelineRun) -> Iterator[None]:
    """While this lasts, a step runs; how that ends, the parent run ends too."""
    try:
        yield
    except BaseException as error:
        with suppress(VisageError):  # if the server is away too, the step's own failure is what must be told
            close(pipeline_run, "FAILED" if isinstance(error, Exception) else "KILLED", {}, {})
        raise
    close(pipeline_run, "FINISHED", {}, {})


def close(
    pipeline_run: PipelineRun,
    status: str,
    counts: Mapping[str, Any],
    reused: Mapping[str, str],
    settings: Sequence[Section] = (),
) -> None:
    """End the parent run, and what of its children was left open.

    Args:
        pipeline_run: whose parent it is.
        status: `FINISHED`, `FAILED` or `KILLED`.
        counts: figures of the whole run.
        reused: fingerprint of the artifact of every step that was not run anew.
        settings: of these steps.
    """
    with explaining_mlflow_errors():
        client = mlflow_server.client()
        experiment = _experiment(client, pipeline_run.root)
        parent = _parent(client, experiment, pipeline_run)
        figures.send(client, parent, counts, _tags_of_reused(reused))
        for section in settings:
            _log_settings(client, parent, section)
        for child in _runs(client, experiment, pipeline_run.key):
            if child.info.status == "RUNNING" and child.info.run_id != parent:
                client.set_terminated(child.info.run_id, "KILLED")
        client.set_terminated(parent, status)


def close_by_children(pipeline_run: PipelineRun, steps: Collection[str]) -> str:
    """End the parent run of steps that ran each on its own; gives the status.

    It is `FINISHED` if each of the steps is, or was reused; else `KILLED` if a step was killed and none has failed; else
    `FAILED`. Of a step that was tried again its last try counts.
    """
    with explaining_mlflow_errors():
        client = mlflow_server.client()
        runs = _runs(client, _experiment(client, pipeline_run.root), pipeline_run.key)
    last: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id)):
        last[run.data.tags.get(STEP_TAG, "")] = run.info.status
    for tag in (tag for run in runs for tag in run.data.tags if tag.startswith(_REUSED)):
        last[tag.removeprefix(_REUSED)] = "FINISHED"
    ends = {last[step] for step in steps if step in last}
    if all(last.get(step) == "FINISHED" for step in steps):
        status = "FINISHED"
    else:
        # What still runs when all is over was killed with all that could have said so.
        status = "KILLED" if ends & {"KILLED", "RUNNING"} and "FAILED" not in ends else "FAILED"
    close(pipeline_run, status, {}, {})
    return status


def close_abandoned(pipeline_run: PipelineRun) -> None:
    """End the runs that killed pipeline runs of the same owner left open."""
    with explaining_mlflow_errors():
        client = mlflow_server.client()
        experiment = _experiment(client, pipeline_run.root)
        query = f"attributes.status = 'RUNNING' and tags.`{OWNER_TAG}` = '{pipeline_run.owner}'"
        for run in client.search_runs([experiment], query):
            if run.data.tags.get(RUN_TAG) != pipeline_run.key:
                client.set_terminated(run.info.run_id, "KILLED")


def newest_run_of(pipeline_run: PipelineRun, step: Step) -> str:
    """The child run of a step's last try, wherever it ran; empty where it has none."""
    with explaining_mlflow_errors():
        client = mlflow_server.client()
        runs = _runs(client, _experiment(client, pipeline_run.root), pipeline_run.key)
    tries = [run.info for run in runs if run.data.tags.get(STEP_TAG) == step.name]
    return max(tries, key=lambda info: (info.start_time, info.run_id)).run_id if tries else ""


def _experiment(client: "MlflowClient", root: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found:
        if _KIND not in found.tags:  # of an older Visage
            client.set_experiment_tag(found.experiment_id, _KIND, _MODEL_TRAINING)
        return found.experiment_id
    local = root and os.environ.get("MLFLOW_TRACKING_URI", "").startswith("sqlite:")
    place = (Path(root) / "mlartifacts").as_uri() if local else None
    try:
        tags = {_KIND: _MODEL_TRAINING, "mlflow.note.content": _ABOUT}
        return client.create_experiment(EXPERIMENT, artifact_location=place, tags=tags)
    except MlflowException:
        found = client.get_experiment_by_name(EXPERIMENT)
        if found:  # another run has been faster
            return found.experiment_id
        raise


def _parent(client: "MlflowClient", experiment: str, pipeline_run: PipelineRun) -> str:
    """The parent run, made if there is none yet.

    Two containers that find none at the same moment make two: all agree on the first of them, and the other goes.
    """
    found = _parents(client, experiment, pipeline_run.key)
    if found:
        return found[0]
    tags = run_tags(pipeline_run, "pipeline")
    if pipeline_run.kubeflow:
        tags["mlflow.note.content"] = f"[The run in Kubeflow Pipelines]({pipeline_run.kubeflow})"
    elif pipeline_run.command:
        tags["mlflow.note.content"] = f"`{pipeline_run.command}`"
    name = f"{Path(pipeline_run.recipe).stem} {time.strftime('%Y-%m-%d %H:%M')}"
    made = _made_once(client, experiment, name, tags)
    first = _parents(client, experiment, pipeline_run.key)[0]
    if first != made:
        client.delete_run(made)
    return first


def _open_parent(client: "MlflowClient", experiment: str, pipeline_run: PipelineRun) -> str:
    """The parent run, for a step that begins: where it had ended already, as Kubeflow's runs can be retried, it goes on."""
    parent = _parent(client, experiment, pipeline_run)
    if client.get_run(parent).info.status != "RUNNING":
        client.update_run(parent, status="RUNNING")
    return parent


def _tags_of_reused(reused: Mapping[str, str]) -> dict[str, str]:
    tags = {f"{_REUSED}{step}": fingerprint for step, fingerprint in reused.items()}
    return tags | ({"visage.data_fingerprint": reused["ingest"]} if "ingest" in reused else {})


def _log_settings(client: "MlflowClient", run_id: str, settings: Section) -> None:
    """Keep settings as parameters of a run; one that it has already, as of a step that was tried before, cannot be changed."""
    from mlflow.entities import Param

    there = client.get_run(run_id).data.params
    given = {key: str(value)[:6000] for key, value in redacted(dotted(settings)).items() if key not in there}
    client.log_batch(run_id, params=[Param(key, value) for key, value in given.items()])


def _parents(client: "MlflowClient", experiment: str, key: str) -> list[str]:
    parents = [run for run in _runs(client, experiment, key) if run.data.tags.get(STEP_TAG) == "pipeline"]
    return [run.info.run_id for run in sorted(parents, key=lambda run: (run.info.start_time, run.info.run_id))]


def _move_to_parent(client: "MlflowClient", child: str, experiment: str, pipeline_run: PipelineRun) -> None:
    """See that a child is under the parent that all agree on: when it was made, another may just have been made too."""
    parents = _parents(client, experiment, pipeline_run.key)
    parent = client.get_run(child).data.tags["mlflow.parentRunId"]
    if parents and parent != parents[0]:
        client.set_tag(child, "mlflow.parentRunId", parents[0])
        if parent in parents:
            client.delete_run(parent)


def _made_once(client: "MlflowClient", experiment: str, name: str, tags: dict[str, str]) -> str:
    """A new run, the only one: a server that is killed may have made one whose answer was lost, and the client asks again."""
    attempt = uuid.uuid4().hex
    made = client.create_run(experiment, run_name=name, tags=tags | {TRY_TAG: attempt}).info.run_id
    for doubled in client.search_runs([experiment], f"tags.`{TRY_TAG}` = '{attempt}'"):
        if doubled.info.run_id != made:
            client.delete_run(doubled.info.run_id)
    return made


def _runs(client: "MlflowClient", experiment: str, key: str) -> list[Any]:
    """The parent and the children of a pipeline run."""
    return list(client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{key}'"))


def _end_quietly(status: str) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.end_run(status)
    except MlflowException:
        return  # the server is away; the error that brought us here says so
