"""An ensemble: a model a fold, and their average as one estimator.

As in DEX, whose networks saw different parts of one data set: every model is trained on all folds but its own and validated on
that one, so that each example that is not for testing decides on the best epoch of one model and teaches the others.
"""

import logging
import math
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.estimator import heads, saved
from components.step import StepContext, Tracker
from components.train import calibrate, dataset, devices
from components.train.one_model import OF_EPOCHS, OF_WEIGHTS, train
from components.train.settings import Settings

log = logging.getLogger("visage.train")


@dataclass(frozen=True)
class Part(Tracker):
    """Reports one model of several: its metrics under its own name, its progress as a part of the whole.

    Attributes:
        whole: the tracker of the run.
        number: of the model, from 0.
        count: of models.
    """

    whole: Tracker
    number: int
    count: int

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self.whole.metric(f"fold{self.number}/{name}", value, step)

    def progress(self, done: int, total: int | None, unit: str) -> None:
        if total:
            self.whole.progress(self.number * total + done, self.count * total, unit)

    def tag(self, name: str, value: str) -> None:
        self.whole.tag(name, value)


def folders_of(output: Path, count: int) -> list[Path]:
    """Of the models, in the step's output."""
    return [output / f"fold{number}" for number in range(count)]


def train_folds(settings: Settings, context: StepContext, strategy: devices.Strategy) -> Mapping[str, Any]:
    """Train a model a fold, each in a folder of its own, and save their average; the figures of them all.

    Raises:
        VisageError: the examples are of other folds, or a model cannot be trained.
    """
    count = settings.train.folds
    folders = folders_of(context.output, count)
    splits = dataset.open_folds(context.inputs["ingest"], count, settings.estimator, settings.train.cache)
    fold_counts = []
    for number, (folder, (training, validation)) in enumerate(zip(folders, splits, strict=True)):
        ages = training.ages + validation.ages
        log.info("model %d of %d", number + 1, count)
        folder.mkdir(exist_ok=True)
        part = Part(context.tracker, number, count)
        fold_counts.append(train(settings, training, validation, strategy, folder, part))

    age_bins = heads.age_bins(settings.estimator.age, ages)
    if settings.estimator.age.head == "regression":
        # Of the single models on faces that they did not see; the average errs a little less.
        age_bins = replace(
            age_bins, std=math.sqrt(statistics.fmean(counts["val_age_rmse"] ** 2 for counts in fold_counts))
        )
    _average(folders, settings, context.inputs["ingest"], context.output / "estimator", age_bins)
    return _summary(fold_counts)


def _average(folders: list[Path], settings: Settings, ingest: Path, final: Path, age_bins: heads.AgeBins) -> None:
    """Save the average of the folders' estimators, which go once it is whole.

    It is calibrated on what each model says of the fold that it did not learn from; the average is a little better than that.
    """
    if not final.exists():
        partial = final.with_name(f".{final.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        members = [saved.load(folder / "estimator").network for folder in folders]
        saved.save_average(members, settings.estimator, partial, age_bins)
        if settings.train.calibrate:
            splits = dataset.open_folds(ingest, len(members), settings.estimator, "never")
            calibration_sets = [
                calibrate.predict(member, dataset.validation_batches(validation, settings.train))
                for member, (_, validation) in zip(members, splits, strict=True)
            ]
            saved.write_calibration(partial, calibrate.fit(calibrate.CalibrationSet.joined(calibration_sets), age_bins))
        partial.rename(final)
    for folder in folders:
        shutil.rmtree(folder / "estimator", ignore_errors=True)


def _summary(fold_counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums of what adds up; of the figures, the means over the folds: each face as the model that did not see it predicts it."""
    means = [name for name in (*OF_WEIGHTS, *OF_EPOCHS) if name in fold_counts[0]]
    return {
        "models": len(fold_counts),
        **{name: sum(counts[name] for counts in fold_counts) for name in ("parameters", "epochs", "steps")},
        **{name: statistics.fmean(counts[name] for counts in fold_counts) for name in means},
    }
