"""The train step, from top to bottom."""

import logging
import math
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.step import Job
from components.train.settings import Settings
from schemas.error import VisageError

if TYPE_CHECKING:
    from components.train.input import Split

log = logging.getLogger("visage.train")


def run(settings: Settings, job: Job) -> Mapping[str, Any]:
    """Train the estimator; goes on from the last epoch of an interrupted run.

    Raises:
        VisageError: a split is empty, no example has a label that a head needs, or the loss is not a number any more.
    """
    from components.estimator import saved
    from components.train import curves, devices, input, loop

    job.tracker.tag("device", devices.prepare())
    size, cache = settings.estimator.size, settings.train.cache
    train = input.open_split(job.inputs["ingest"], "train", size, cache)
    validation = input.open_split(job.inputs["ingest"], "validation", size, cache)
    for split in (train, validation):
        _demand_labels(split, settings)
    log.info("%d examples to train, %d to validate", train.examples, validation.examples)

    work = job.output / "checkpoint"
    work.mkdir(exist_ok=True)
    trained = loop.fit(settings, train, validation, work, job.tracker)

    shutil.rmtree(job.output / "estimator", ignore_errors=True)
    saved.save(trained.model, settings.estimator, job.output / "estimator")
    curves.write_history(job.output / "history.csv", trained.history)
    curves.draw(job.output / "curves.png", trained.history, trained.best)
    shutil.rmtree(work)

    last, best = trained.history[-1], trained.history[trained.best - 1]
    return {
        "examples": train.examples,
        "parameters": trained.model.count_params(),
        "epochs": last["epoch"],
        "steps": last["steps"],
        "best_epoch": trained.best,
        **{name: best[name] for name in loop.FIGURES if not math.isnan(best[name])},
        "images_per_second": sum(row["images_per_second"] for row in trained.history) / len(trained.history),
        "input_wait": sum(row["input_wait"] for row in trained.history) / len(trained.history),
    }


def _demand_labels(split: "Split", settings: Settings) -> None:
    if not split.ages:
        raise VisageError(f"No example of the {split.name} split has an age.", "Use a source that knows ages.")
    if settings.estimator.gender.head != "none" and not split.genders:
        raise VisageError(
            f"No example of the {split.name} split has a gender.",
            "Train without that head: --set estimator.gender.head=none.",
        )
