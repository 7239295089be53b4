"""The train step: one model, or one a fold."""

from collections.abc import Mapping
from typing import Any

from components.step import StepContext
from components.train.settings import Settings


def run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Train the estimator; goes on from the last epoch of an interrupted run.

    Raises:
        VisageError: a split is empty, no example has a label that a head needs, the examples are of other folds than asked
            for, or the loss is not a number any more.
    """
    from components.report import surround
    from components.train import dataset, devices, ensemble, one_model, report

    strategy = devices.strategy()
    context.tracker.tag("device", devices.described(strategy))
    if settings.train.folds > 1:
        counts = ensemble.train_folds(settings, context, strategy)
        folders = ensemble.folders_of(context.output, settings.train.folds)
    else:
        train, validation = (
            dataset.open_split(context.inputs["ingest"], split, settings.estimator, settings.train.cache)
            for split in ("train", "validation")
        )
        counts = one_model.train(settings, train, validation, strategy, context.output, context.tracker)
        folders = [context.output]
    best = {folder: int((one_model.read_counts(folder) or counts)["best_epoch"]) for folder in folders}
    around = surround.of_step("train", settings, context)
    report.write(context.output / "report.html", counts, best, devices.described(strategy), around)
    return counts
