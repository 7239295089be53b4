"""The train step, from top to bottom."""

import logging
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
    from components.train.learner import FIGURES

    strategy = devices.strategy()
    job.tracker.tag("device", devices.described(strategy))
    train, validation = (
        input.open_split(job.inputs["ingest"], split, settings.estimator, settings.train.cache)
        for split in ("train", "validation")
    )
    for split in (train, validation):
        _demand_labels(split, settings)
    log.info("%d examples to train, %d to validate", train.examples, validation.examples)

    work = job.output / "checkpoint"
    work.mkdir(exist_ok=True)
    trained = loop.fit(settings, strategy, train, validation, work, job.output / "tensorboard", job.tracker)

    shutil.rmtree(job.output / "estimator", ignore_errors=True)
    saved.save(trained.model, settings.estimator, job.output / "estimator", trained.scale)
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
        **{name: best[name] for name in FIGURES if name in best},
        "images_per_second": sum(row["images_per_second"] for row in trained.history) / len(trained.history),
        "input_wait": sum(row["input_wait"] for row in trained.history) / len(trained.history),
    }


def _demand_labels(split: "Split", settings: Settings) -> None:
    """Every head must have something to learn from."""
    from components.estimator.losses import BY_CLASS

    age, gender = settings.estimator.age, settings.estimator.gender
    classes = ", ".join(sorted(split.age_classes))
    if not split.ages and not (age.loss in BY_CLASS and any(split.age_classes[name] for name in age.classes)):
        raise VisageError(
            f"No example of the {split.name} split has an age" + (f", but age classes: {classes}." if classes else "."),
            "Name them with estimator.age.classes, youngest first, the ages between them with estimator.age.edges, and set "
            "estimator.age.loss=cross_entropy."
            if classes
            else "Use a source that knows ages.",
        )
    if gender.head != "none" and not split.genders:
        raise VisageError(
            f"No example of the {split.name} split has a gender.",
            "Train without that head: --set estimator.gender.head=none.",
        )
