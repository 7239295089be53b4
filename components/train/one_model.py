"""One model: from its splits to a folder with its estimator."""

import json
import logging
import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.estimator import model, saved
from components.estimator.losses import BY_CLASS
from components.step import Tracker
from components.train import calibrate, curves, dataset, devices, loop
from components.train.dataset import Split
from components.train.learner import FIGURES
from components.train.settings import Settings
from schemas.error import VisageError

log = logging.getLogger("visage.train")


def train(
    settings: Settings,
    training: Split,
    validation: Split,
    strategy: devices.Strategy,
    folder: Path,
    tracker: Tracker,
) -> Mapping[str, Any]:
    """Train a model into a folder, or go on from what an interrupted run left there; its counts and figures.

    Raises:
        VisageError: no example has a label that a head needs, or the loss is not a number any more.
    """
    work, counts = folder / "checkpoint", read_counts(folder)
    if counts is not None:
        log.info("was trained before")
        shutil.rmtree(work, ignore_errors=True)
        _track_again(folder, counts, tracker)
        return counts
    for split in (training, validation):
        _demand_labels(split, settings)
    log.info("%d examples to train, %d to validate", training.examples, validation.examples)

    work.mkdir(exist_ok=True)
    trained = loop.fit(settings, strategy, training, validation, work, folder / "tensorboard", tracker)

    shutil.rmtree(folder / "estimator", ignore_errors=True)
    saved.save(trained.model, settings.estimator, folder / "estimator", trained.age_bins)
    if settings.train.calibrate:
        calibration_set = calibrate.predict(
            model.inference(trained.model, settings.estimator), dataset.validation_batches(validation, settings.train)
        )
        saved.write_calibration(folder / "estimator", calibrate.fit(calibration_set, trained.age_bins))
    curves.write_history(folder / "history.csv", trained.history)
    curves.draw(folder / "curves.png", trained.history, trained.best)

    last, best = trained.history[-1], trained.history[trained.best - 1]
    counts = {
        "examples": training.examples,
        "parameters": trained.model.count_params(),
        "epochs": last["epoch"],
        "steps": last["steps"],
        "best_epoch": trained.best,
        **{name: best[name] for name in OF_WEIGHTS if name in best},
        **{name: statistics.fmean(row[name] for row in trained.history) for name in OF_EPOCHS},
    }
    partial = (folder / COUNTS).with_suffix(".partial")
    partial.write_text(json.dumps(counts, indent=1) + "\n")
    partial.replace(folder / COUNTS)  # from now on the checkpoint is not needed any more
    shutil.rmtree(work)
    _track_best_weights(counts, tracker)
    return counts


COUNTS = "counts.json"
"""What came of a model, in its folder: it is trained. A run that was killed goes on with what comes after."""

OF_WEIGHTS = ("loss", *FIGURES)
"""Figures of one epoch: those of the kept weights count."""

OF_EPOCHS = ("images_per_second", "input_wait")
"""Figures of which the mean over the epochs counts."""


def read_counts(folder: Path) -> dict[str, Any] | None:
    """What came of the model in a folder; None where it is not trained yet."""
    path = folder / COUNTS
    return json.loads(path.read_text()) if path.is_file() else None


def _track_best_weights(counts: Mapping[str, Any], tracker: Tracker) -> None:
    """Report the figures of the weights that were kept last: they are the run's own, not those of the last epoch."""
    for name in (*OF_WEIGHTS, *OF_EPOCHS):
        if name in counts:
            tracker.metric(name, counts[name], int(counts["epochs"]))


def _track_again(folder: Path, counts: Mapping[str, Any], tracker: Tracker) -> None:
    """Report a training that is over, for a run that resumes after it."""
    for row in curves.read_history(folder / "history.csv"):
        loop.track(tracker, row)
    _track_best_weights(counts, tracker)


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
