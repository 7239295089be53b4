"""`visage step`: one step alone, with its run in MLflow, on a person's machine or in a container of the cluster."""

import argparse
import os
import time
from contextlib import nullcontext
from pathlib import Path

from components.step import Step, Tracker, command, execute
from pipeline.cli.arguments import Commands
from pipeline.recipe import Recipe

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
    from pipeline import tracking

    changed = recipe.of(step).model_dump(mode="json", exclude_defaults=True)
    settings = command.settings_of(step, arguments, changed)
    reason = step.nothing_to_do(settings) if step.nothing_to_do else ""
    inputs, out = command.inputs_of(step, arguments), arguments.out.absolute()
    name = os.environ.get("VISAGE_RECIPE") or recipe.name  # a container is told what its settings come from
    surroundings = command.surroundings_of(step, settings, name, tracking.git_commit())
    if not surroundings.tracking_uri:
        if reason:
            _skip(step, reason, out)
        else:
            command.report(execute(step, settings, inputs, out, Tracker(), surroundings), arguments.out)
        return
    key = arguments.run or f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{step.name}"
    pipeline_run = tracking.PipelineRun(key, name, commit=surroundings.commit)
    whole = nullcontext() if arguments.run else tracking.parent_run(pipeline_run)
    with whole, tracking.step_run(pipeline_run, step, settings, Tracker()) as tracker:
        if reason:
            tracker.tag("visage.skipped", reason)
            _skip(step, reason, out)
            return
        manifest = execute(step, settings, inputs, out, tracker, surroundings)
        tracking.record(tracker, step, manifest, out, inputs)
    command.report(manifest, arguments.out)


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
    status = tracking.close_by_children(tracking.PipelineRun(arguments.key, recipe), steps)
    print(f"{arguments.key}: {status}")
