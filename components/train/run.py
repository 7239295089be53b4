"""The train step: one model, or one a fold."""

from collections.abc import Mapping
from typing import Any

from components.step import Job
from components.train.settings import Settings


def run(settings: Settings, job: Job) -> Mapping[str, Any]:
    """Train the estimator; goes on from the last epoch of an interrupted run.

    Raises:
        VisageError: a split is empty, no example has a label that a head needs, the examples are of other folds than asked
            for, or the loss is not a number any more.
    """
    from components.train import devices, ensemble, input, single

    strategy = devices.strategy()
    job.tracker.tag("device", devices.described(strategy))
    if settings.train.folds > 1:
        return ensemble.train_folds(settings, job, strategy)
    train, validation = (
        input.open_split(job.inputs["ingest"], split, settings.estimator, settings.train.cache)
        for split in ("train", "validation")
    )
    return single.train(settings, train, validation, strategy, job.output, job.tracker)
