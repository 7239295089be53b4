"""One step alone, with its run in MLflow: `visage step`, on a person's machine or in a container of the cluster."""

import argparse
import os
import time

from components import alone
from components.step import Step, Tracker, execute
from pipeline import tracking
from pipeline.recipe import Recipe
from pipeline.tracking import PipelineRun


def run(step: Step, recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Run a step as the arguments say; tracked where MLFLOW_TRACKING_URI names a server, else not.

    Raises:
        VisageError: wrong settings or inputs, the tracking server is away, or the step failed.
    """
    changed = recipe.of(step).model_dump(mode="json", exclude_defaults=True)
    settings = alone.settings_of(step, arguments, changed)
    inputs, out = alone.inputs_of(step, arguments), arguments.out.absolute()
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        alone.report(execute(step, settings, inputs, out, Tracker()), arguments.out)
        return
    os.environ.update(tracking.environment(out.parent, os.environ.get("VISAGE_RECIPE") or recipe.name))
    key = arguments.run or f"{time.strftime('%Y%m%d-%H%M%S')}-{step.name}"
    pipeline_run = PipelineRun(key, os.environ["VISAGE_RECIPE"])
    with tracking.step_run(pipeline_run, step, settings, Tracker()) as tracker:
        manifest = execute(step, settings, inputs, out, tracker)
        tracking.record(tracker, step, manifest, out)
    alone.report(manifest, arguments.out)
