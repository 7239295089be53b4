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
    from components.train import dataset, devices, ensemble, one_model

    strategy = devices.strategy()
    context.tracker.tag("device", devices.described(strategy))
    if settings.train.folds > 1:
        return ensemble.train_folds(settings, context, strategy)
    train, validation = (
        dataset.open_split(context.inputs["ingest"], split, settings.estimator, settings.train.cache)
        for split in ("train", "validation")
    )
    return one_model.train(settings, train, validation, strategy, context.output, context.tracker)
