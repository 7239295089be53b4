"""The training loop: epochs of steps, a look at the validation split after each, an end when it gets no better."""

import dataclasses
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras

from components.estimator import heads
from components.step import Tracker
from components.train import dataset, devices
from components.train.balance import example_weights
from components.train.learner import FIGURES, Learner
from components.train.settings import Settings
from schemas.error import VisageError

log = logging.getLogger("visage.train")

LAST = "last.npz"
"""The checkpoint: where training stands after an epoch, with the history up to it. All else follows from this one file."""


@dataclass(frozen=True)
class Trained:
    """What comes out of training.

    Attributes:
        model: with the best weights, as `components.estimator.model.build` makes it.
        age_bins: what its age output means.
        history: figures of every epoch.
        best: the epoch, from 1, whose weights the model has.
    """

    model: keras.Model
    age_bins: heads.AgeBins
    history: list[dict[str, float]]
    best: int


def fit(
    settings: Settings,
    strategy: devices.Strategy,
    train: dataset.Split,
    validation: dataset.Split,
    work: Path,
    logs: Path,
    tracker: Tracker,
) -> Trained:
    """Train on the devices of `strategy`, or go on from the checkpoint in `work`; figures for TensorBoard go to `logs`.

    Raises:
        VisageError: the loss is not a number any more; the checkpoint is damaged.
    """
    import tensorflow as tf

    train_settings = settings.train
    keras.utils.set_random_seed(train_settings.seed)
    age_bins = heads.age_bins(settings.estimator.age, train.ages)
    learner = Learner(
        settings, age_bins, example_weights(settings, train), dataset.steps(train, train_settings), strategy
    )
    batch = min(train_settings.batch_size, train.examples)
    history = learner.resume(work / LAST)
    for row in history:
        track(tracker, row)
    if history:
        log.info("goes on after epoch %d", len(history))
    else:
        learner.start(dataset.validation_batches(train, train_settings))
    clock, begun = time.monotonic(), len(history)
    board = tf.summary.create_file_writer(str(logs))

    while len(history) < train_settings.epochs and _should_continue(history, settings):
        epoch = len(history) + 1
        batches = learner.shared(partial(dataset.training_batches, train, train_settings, epoch))
        row = learner.epoch(epoch, batches, batch, tracker)
        row |= learner.agree(learner.validate(dataset.validation_batches(validation, train_settings)))
        history.append(row)
        if _best(history, settings) == epoch:
            learner.save_weights(_weights(work, epoch))
        learner.save(work / LAST, history)  # from now on the epoch counts
        for stale in set(work.glob(_weights(work, "*").name)) - {_weights(work, _best(history, settings))}:
            stale.unlink()
        track(tracker, row)
        with board.as_default(step=epoch):
            for name, value in _course(row):
                tf.summary.scalar(name, value)
        board.flush()
        left = (time.monotonic() - clock) / (epoch - begun) * (train_settings.epochs - epoch)
        log.info("%s", _line(row, train_settings.epochs, left))

    best = _best(history, settings)
    learner.load_weights(_weights(work, best))
    if settings.estimator.age.head == "regression":
        age_bins = dataclasses.replace(age_bins, std=history[best - 1]["val_age_rmse"])
    return Trained(learner.ema_model, age_bins, history, best)


def _weights(work: Path, epoch: int | str) -> Path:
    """Where the weights of an epoch lie that was the best when it ended.

    Each has a name of its own: a kill before the checkpoint is written leaves those that the checkpoint knows as they are.
    """
    return work / f"weights-{epoch}.npz"


def _course(row: Mapping[str, float]) -> list[tuple[str, float]]:
    """The figures of an epoch that have a course."""
    return [(name, value) for name, value in row.items() if name not in ("epoch", "seconds")]


def track(tracker: Tracker, row: Mapping[str, float]) -> None:
    """Report the figures of an epoch."""
    for name, value in _course(row):
        tracker.metric(name, value, int(row["epoch"]))


def _best(history: list[dict[str, float]], settings: Settings) -> int:
    """The epoch, from 1, with the best figure; the first of equals."""
    metric = settings.train.stop.metric
    if metric not in history[0]:
        raise VisageError(
            f"train.stop.metric is {metric}, which these examples and heads do not have.",
            f"Set it to one of {', '.join(filter(history[0].__contains__, FIGURES))}.",
        )
    figures = [row[metric] for row in history]
    return 1 + (figures.index(max(figures)) if metric.endswith("accuracy") else figures.index(min(figures)))


def _should_continue(history: list[dict[str, float]], settings: Settings) -> bool:
    return not history or len(history) - _best(history, settings) < settings.train.stop.patience


def _line(row: Mapping[str, float], epochs: int, left: float) -> str:
    figures = [f"{name} {row[name]:.4g}" for name in ("loss", *FIGURES) if name in row]
    return (
        f"epoch {row['epoch']} of {epochs}: {', '.join(figures)}; "
        f"{row['images_per_second']:.0f} images/s, {row['input_wait']:.0%} waiting for input, "
        f"at most {left / 60:.1f} min left"
    )
