"""`visage step`: one step alone, with its run in MLflow, on a person's machine or in a container of the cluster."""

import argparse
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from components.step import Step, Surroundings, Tracker, command, execute
from components.step.artifact_store import ArtifactStore
from components.step.destination import folder_for
from components.step.identity import Identity, of_step
from components.step.reuse import behind_the_champion
from components.step.settings import Section
from components.storage.names import is_remote
from pipeline.cli.arguments import Commands, local_path
from pipeline.kubeflow import outputs as kubeflow_outputs
from pipeline.pipeline_run import PipelineRun, git_commit, new_key
from pipeline.recipe import Recipe, RecipeSettings
from schemas.artifact import Manifest, is_whole, partial_folder, read_manifest
from schemas.error import VisageError

log = logging.getLogger("visage.step")

_EPILOG = """\
example:
  visage step ingest --set source.path=FOLDER --out artifacts/ingest
  visage step validate --input ingest artifacts/ingest --out artifacts/validate
"""


def add(commands: Commands) -> None:
    """Add `visage step`."""
    parser = commands.add("step", _step, "run one step alone, as a container does", _EPILOG)
    parser.add_argument("name", metavar="NAME", help="ingest, validate, train, evaluate, register or score")
    parser.add_argument("--recipe", metavar="NAME|FILE", default="default", help="recipe that the settings start from")
    command.add_arguments(parser)
    parser.add_argument("--run", default="", metavar="KEY", help="key of the pipeline run that this step belongs to")
    cluster = parser.add_argument_group("what a container of the cluster is given")
    cluster.add_argument(
        "--artifact-store",
        default="",
        metavar="PLACE",
        help="folder or URL in which artifacts are kept to be reused, and what a retry of an unfinished step goes on from",
    )
    cluster.add_argument(
        "--stored",
        action="append",
        default=[],
        nargs=2,
        metavar=("STEP", "FINGERPRINT"),
        help="artifact of an earlier step, taken from --artifact-store; repeatable",
    )
    cluster.add_argument(
        "--job",
        default="",
        metavar="JSON",
        help="a Job of Kubernetes that does the work: this process starts it, waits, and takes what it made from "
        "--artifact-store",
    )
    cluster.add_argument("--kubeflow-ui", default="", metavar="URL", help="Kubeflow Pipelines in a browser, for links")
    cluster.add_argument("--mlflow-ui", default="", metavar="URL", help="MLflow in a browser, for links")
    cluster.add_argument(
        "--executor-input", default="", metavar="JSON", help="Kubeflow's own word on inputs and outputs"
    )
    cluster.add_argument("--page", type=local_path, metavar="FILE", help="where Kubeflow takes the step's page from")
    parser = commands.add(
        "end-run", _end_run, "end the MLflow run of a pipeline run whose steps ran alone, as a cluster does"
    )
    parser.add_argument("key", metavar="KEY", help="that its steps were given with --run")
    parser.add_argument("steps", nargs="+", metavar="STEP", help="that must have finished for the run to have done so")


def _step(arguments: argparse.Namespace) -> None:
    from pipeline import dag, recipe

    run(dag.named(arguments.name), recipe.load(arguments.recipe), arguments)


def run(step: Step, recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Run a step as the arguments say; tracked where MLFLOW_TRACKING_URI names a server, else not.

    Raises:
        VisageError: wrong settings or inputs, the tracking server is away, or the step failed.
    """
    from pipeline import figures, tracking

    changed = recipe.of(step).model_dump(mode="json", exclude_defaults=True)
    settings = command.settings_of(step, arguments, changed, RecipeSettings.model_fields)
    outputs = kubeflow_outputs.parse(arguments.executor_input, arguments.page)
    reason = step.nothing_to_do(settings) if step.nothing_to_do else ""
    first = not step.host_number or step.host_number() == 0
    store = ArtifactStore(arguments.artifact_store, arguments.run, first=first)
    inputs = command.inputs_of(step, _with_stored(arguments, store))
    name = os.environ.get("VISAGE_RECIPE") or recipe.name  # a container is told what its settings come from
    surroundings = command.surroundings_of(step, settings, name, git_commit())
    key = arguments.run or new_key(step.name)
    link = f"{arguments.kubeflow_ui}/#/runs/details/{key}" if arguments.kubeflow_ui else ""
    pipeline_run = PipelineRun(key, name, commit=surroundings.commit, kubeflow=link)
    tracked = bool(surroundings.tracking_uri) and first
    server = arguments.mlflow_ui or surroundings.tracking_uri
    run_id = ""
    run_context = nullcontext() if arguments.run or not tracked else tracking.parent_run(pipeline_run)
    with run_context, folder_for(arguments.out) as out:
        work = _Work(step, settings, inputs, out, surroundings, store)
        reused = not reason and work.reuse()
        if reused:
            manifest = read_manifest(out)
            run_id = tracking.record_reuse(pipeline_run, step, manifest.fingerprint, settings) if tracked else ""
        elif arguments.job:
            manifest = work.do_by_job(arguments.job, arguments.kubeflow_ui)
            run_id = tracking.newest_run_of(pipeline_run, step) if tracked else ""
        elif not tracked:
            if reason:
                _skip(step, reason, out)
                return
            manifest = work.do(Tracker())
        else:
            with tracking.step_run(pipeline_run, step, settings, Tracker()) as tracker:
                if reason:
                    tracker.tag("visage.skipped", reason)
                    _skip(step, reason, out)
                    return
                run_id = tracker.run_id
                with _leading_to(run_id, server):
                    manifest = work.do(tracker)
                figures.record(tracker, step, manifest, out, inputs)
        if outputs:
            page = tracking.page_of(run_id, server) if run_id else ""
            outputs.write(step, out, manifest, {"mlflow_run": page} if page else {})
    if reused:
        print(f"{step.name}: reused from {arguments.artifact_store}, as nothing that it depends on has changed")
    else:
        command.report(manifest, arguments.out)


@contextmanager
def _leading_to(run_id: str, server: str) -> Iterator[None]:
    """If the step fails, its message ends with the address of its run in MLflow, where its reports are."""
    from pipeline import tracking

    try:
        yield
    except VisageError as error:
        page = ""
        with suppress(VisageError):  # if the server is away too, the step's own failure is what must be told
            page = tracking.page_of(run_id, server)
        if not page:
            raise
        hint = f"{error.hint}\n" if error.hint else ""
        raise VisageError(error.message, f"{hint}Its run in MLflow: {page}", usage=error.usage) from error


def _with_stored(arguments: argparse.Namespace, store: ArtifactStore) -> argparse.Namespace:
    """The arguments, with the inputs that are taken from the artifact store; they come to lie beside the output."""
    from pipeline import dag

    if not arguments.stored:
        return arguments
    if not store.place or is_remote(arguments.out):
        raise VisageError("--stored wants --artifact-store, and --out on this machine.", usage=True)
    out, fetched = Path(arguments.out).absolute(), []
    for name, fingerprint in arguments.stored:
        folder = out.with_name(f".{out.name}.inputs") / name
        if not is_whole(folder) and not store.fetch(dag.named(name), fingerprint, folder):
            raise VisageError(f"--stored {name} {fingerprint}: {store.place} holds no such artifact.")
        fetched.append([name, str(folder)])
    return argparse.Namespace(**{**vars(arguments), "input": [*arguments.input, *fetched]})


def _skip(step: Step, reason: str, out: Path) -> None:
    """Leave an empty folder: whoever waits for the step's output finds one."""
    out.mkdir(parents=True, exist_ok=True)
    print(f"{step.name}: skipped, {reason}")


def _end_run(arguments: argparse.Namespace) -> None:
    from pipeline import dag, tracking

    steps = [dag.named(name).name for name in arguments.steps]
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        print("MLFLOW_TRACKING_URI names no server: no run was tracked.")
        return
    recipe = os.environ.get("VISAGE_RECIPE", "")
    status = tracking.close_by_children(PipelineRun(arguments.key, recipe), steps)
    print(f"{arguments.key}: {status}")


@dataclass(frozen=True)
class _Work:
    """What one step is to do, and where it is kept for others."""

    step: Step
    settings: Section
    inputs: Mapping[str, Path]
    out: Path
    surroundings: Surroundings
    store: ArtifactStore

    @cached_property
    def identity(self) -> Identity:
        return of_step(self.step, self.settings, self.inputs, self.surroundings.champion)

    def reuse(self) -> bool:
        """Take what is kept and still says what is so as the step's artifact; whether there is such a thing."""
        if not self.store.place:
            return False
        manifests = partial(self.store.manifest_of, self.step)
        digest = self.identity.digest
        if not manifests(digest):
            digest = behind_the_champion(self.step, self.settings, self.inputs, self.surroundings, manifests)
        if not digest or not self.store.fetch(self.step, digest, self.out):
            return False
        if self.step.is_current and not self.step.is_current(self.out, self.surroundings):
            shutil.rmtree(self.out)
            return False
        return True

    def do_by_job(self, text: str, kubeflow: str) -> Manifest:
        """Have a Job run the step on hosts of its own, and take what it kept."""
        from pipeline.kubeflow import job, train_job

        try:
            job_manifest = json.loads(text)
        except ValueError as error:
            raise VisageError(f"--job is not JSON: {error}", usage=True) from error
        if not self.store.place or not self.store.run:
            raise VisageError("--job wants --artifact-store and --run too.", usage=True)
        manifests = {name: read_manifest(folder) for name, folder in self.inputs.items()}
        train_command = train_job.command(self.settings, self.store.run, self.store.place, manifests, kubeflow)
        job.run(train_job.named(job_manifest, self.store.run, self.identity.digest, train_command))
        if not self.store.fetch(self.step, self.identity.digest, self.out):
            raise VisageError(
                f"The Job is done, and {self.store.place} does not hold what it should have made.",
                "Give hosts and steps the same image, and let the hosts write there.",
            )
        return read_manifest(self.out)

    def do(self, tracker: Tracker) -> Manifest:
        """Run the step; the way to its artifact is kept, and then the artifact."""
        if not self.store.place:
            return execute(self.step, self.settings, self.inputs, self.out, tracker, self.surroundings)
        identity = self.identity
        with self.store.carried(self.step, identity.digest, partial_folder(self.out, identity.digest)):
            manifest = execute(self.step, self.settings, self.inputs, self.out, tracker, self.surroundings, identity)
            try:
                self.store.keep(self.step, self.out, manifest)
            except VisageError as error:  # the artifact is there all the same
                log.warning("the next run will not find this artifact. %s", error.message)
        return manifest
