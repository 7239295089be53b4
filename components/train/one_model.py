"""One model: from its splits to a folder with its estimator."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.estimator import saved
from components.estimator.losses import BY_CLASS
from components.step import Tracker
from components.train import curves, loop
from components.train.dataset import Split
from components.train.learner import FIGURES
from components.train.settings import Settings
from schemas.error import VisageError

log = logging.getLogger("visage.train")


def train(
    settings: Settings,
    training: Split,
    validation: Split,
    strategy: tf.distribute.Strategy,
    folder: Path,
    tracker: Tracker,
) -> Mapping[str, Any]:
    """Train a model into a folder, or go on from what an interrupted run left there; its counts and figures.

    Raises:
        VisageError: no example has a label that a head needs, or the loss is not a number any more.
    """
    for split in (training, validation):
        _demand_labels(split, settings)
    log.info("%d examples to train, %d to validate", training.examples, validation.examples)

    work = folder / "checkpoint"
    work.mkdir(exist_ok=True)
    trained = loop.fit(settings, strategy, training, validation, work, folder / "tensorboard", tracker)

    shutil.rmtree(folder / "estimator", ignore_errors=True)
    saved.save(trained.model, settings.estimator, folder / "estimator", trained.age_bins)
    curves.write_history(folder / "history.csv", trained.history)
    curves.draw(folder / "curves.png", trained.history, trained.best)
    shutil.rmtree(work)

    last, best = trained.history[-1], trained.history[trained.best - 1]
    return {
        "examples": training.examples,
        "parameters": trained.model.count_params(),
        "epochs": last["epoch"],
        "steps": last["steps"],
        "best_epoch": trained.best,
        **{name: best[name] for name in FIGURES if name in best},
        "images_per_second": sum(row["images_per_second"] for row in trained.history) / len(trained.history),
        "input_wait": sum(row["input_wait"] for row in trained.history) / len(trained.history),
    }


def _demand_labels(split: Split, settings: Settings) -> None:
    """Every head must have something to learn from."""
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
