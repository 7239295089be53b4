"""The training loop: epochs of steps, a look at the validation split after each, an end when it gets no better."""

import dataclasses
import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.estimator import heads, losses, model, pixels, saved
from components.step import Tracker
from components.train import checkpoint, input
from components.train.optimizer import Average, optimizer
from components.train.settings import Settings
from schemas.error import VisageError

log = logging.getLogger("visage.train")

LAST, BEST = "last.npz", "best.npz"
FIGURES = ("val_loss", "val_age_mae", "val_age_rmse", "val_age_class_accuracy", "val_gender_accuracy")
"""What can be known of an epoch's weights on the validation split; left out where no example has the label."""


@dataclass(frozen=True)
class Trained:
    """What comes out of training.

    Attributes:
        model: with the best weights, as `components.estimator.model.build` makes it.
        scale: what its age output means.
        history: figures of every epoch.
        best: the epoch, from 1, whose weights the model has.
    """

    model: keras.Model
    scale: heads.Scale
    history: list[dict[str, float]]
    best: int


def fit(settings: Settings, train: input.Split, validation: input.Split, work: Path, tracker: Tracker) -> Trained:
    """Train, or go on from the checkpoint in `work`.

    Raises:
        VisageError: the loss is not a number any more.
    """
    asked = settings.train
    keras.utils.set_random_seed(asked.seed)
    learner = Learner(settings, heads.scale(settings.estimator.age, train.ages), input.steps(train, asked))
    history = learner.resume(work / LAST)
    if history:
        log.info("goes on after epoch %d", len(history))
    else:
        learner.start(input.validation_batches(train, asked))
    clock, begun = time.monotonic(), len(history)

    while len(history) < asked.epochs and _hope(history, settings):
        epoch = len(history) + 1
        batches = input.training_batches(train, asked, epoch)
        row = learner.epoch(epoch, batches, asked.epochs, tracker)
        row |= learner.validate(input.validation_batches(validation, asked))
        history.append(row)
        if _best(history, settings) == epoch:
            checkpoint.write(work / BEST, {"model": learner.kept.variables}, {"epoch": epoch})
        learner.save(work / LAST, history)
        for name, value in row.items():
            if name != "epoch":
                tracker.metric(name, value, epoch)
        left = (time.monotonic() - clock) / (epoch - begun) * (asked.epochs - epoch)
        log.info("%s", _line(row, asked.epochs, left))

    checkpoint.read(work / BEST, {"model": learner.kept.variables})
    best = _best(history, settings)
    scale = learner.scale
    if settings.estimator.age.head == "regression":
        scale = dataclasses.replace(scale, deviation=history[best - 1]["val_age_rmse"])
    return Trained(learner.kept, scale, history, best)


class Learner:
    """A model, what makes it better, and the average of its weights."""

    def __init__(self, settings: Settings, scale: heads.Scale, steps: int) -> None:
        self.estimator = settings.estimator
        self.scale = scale
        self.steps = steps
        self.model = model.build(settings.estimator)
        self.optimizer = optimizer(settings.train.optimizer, steps * settings.train.epochs, steps)
        self.optimizer.build(self.model.trainable_variables)
        self.kept = self.model
        self.average = None
        if settings.train.average:
            self.average = Average(self.model, model.build(settings.estimator), settings.train.average)
            self.kept = self.average.model
        self._objective = losses.objective(settings.estimator, scale)
        self._loss = tf.Variable(0.0, trainable=False)
        self._failed = tf.Variable(-1, trainable=False, dtype=tf.int64)
        self._step = tf.function(self._one_step, reduce_retracing=True)
        self._logits = tf.function(
            lambda images: self.kept(tf.cast(images, tf.float32), training=False), reduce_retracing=True
        )

    def start(self, batches: tf.data.Dataset) -> None:
        """What comes before the first step; the batches are the faces of the training split as they are."""
        pixels.fit(self.model, (images for images, _ in batches))
        if self.average:
            self.average.restart()

    def epoch(self, number: int, batches: tf.data.Dataset, epochs: int, tracker: Tracker) -> dict[str, float]:
        """One pass over the batches; the figures of it.

        Raises:
            VisageError: the loss is not a number any more.
        """
        self._loss.assign(0.0)
        began = told = time.monotonic()
        waited, seen = 0.0, 0
        source: Iterator[Any] = iter(batches)
        for step in range(self.steps):
            asked = time.monotonic()
            images, labels = next(source)
            waited += time.monotonic() - asked
            self._step(images, labels)
            seen += len(images)
            if time.monotonic() - told > 0.5 or step + 1 == self.steps:
                told = time.monotonic()
                self._check()
                per_epoch = self.steps * len(images)
                tracker.progress((number - 1) * per_epoch + seen, epochs * per_epoch, "images")
        seconds = time.monotonic() - began
        return {
            "epoch": number,
            "steps": int(self.optimizer.iterations.numpy()),
            "learning_rate": float(self.optimizer.learning_rate),
            "loss": float(self._loss.numpy()) / self.steps,
            "seconds": seconds,
            "images_per_second": seen / seconds,
            "input_wait": waited / seconds,
        }

    def validate(self, batches: tf.data.Dataset) -> dict[str, float]:
        """Those of `FIGURES` that the labels allow, of the kept weights."""
        told, known = [], []
        for images, labels in batches:
            told.append(self._logits(images))
            known.append(labels)
        logits = {name: tf.concat([part[name] for part in told], axis=0) for name in told[0]}
        labels = {name: tf.concat([part[name] for part in known], axis=0) for name in known[0]}
        loss = sum(float(part) for part in self._objective(labels, logits).values())
        outputs = {name: value.numpy() for name, value in heads.probabilities(logits, self.estimator).items()}
        predictions = saved.interpret(outputs, self.scale)
        age, female, age_class = (labels[name].numpy() for name in ("age", "female", "age_class"))
        figures = {"val_loss": loss}
        error = np.abs(predictions.age - age)[~np.isnan(age)]
        if error.size:
            figures["val_age_mae"] = float(error.mean())
            figures["val_age_rmse"] = math.sqrt(float(np.square(error).mean()))
        right = (outputs["age"].argmax(axis=1) == age_class)[age_class >= 0]
        if self.estimator.age.edges and right.size:
            figures["val_age_class_accuracy"] = float(right.mean())
        right = ((predictions.female > 0.5) == (female > 0.5))[~np.isnan(female)]
        if "female" in outputs and right.size:
            figures["val_gender_accuracy"] = float(right.mean())
        return figures

    def save(self, path: Path, history: list[dict[str, float]]) -> None:
        """Write a checkpoint."""
        checkpoint.write(path, self._groups(), {"history": history})

    def resume(self, path: Path) -> list[dict[str, float]]:
        """Take up a checkpoint, if there is one; the history up to it.

        Raises:
            VisageError: it cannot be read.
        """
        try:
            state = checkpoint.read(path, self._groups())
        except ValueError as error:
            raise VisageError(f"The checkpoint is damaged: {error}", f"Delete {path.parent} to start anew.") from error
        return state["history"] if state else []

    def _groups(self) -> Mapping[str, list[keras.Variable]]:
        groups = {"model": self.model.variables, "optimizer": self.optimizer.variables}
        return groups | ({"average": self.average.model.variables} if self.average else {})

    def _one_step(self, images: tf.Tensor, labels: losses.Labels) -> None:
        with tf.GradientTape() as tape:
            outputs = self.model(tf.cast(images, tf.float32), training=True)
            loss = tf.add_n([*self._objective(labels, outputs).values(), *self.model.losses])
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        if self.average:
            self.average.update(self.optimizer.iterations)
        self._loss.assign_add(loss)
        step = tf.cast(self.optimizer.iterations, tf.int64)
        self._failed.assign(tf.where((self._failed < 0) & ~tf.math.is_finite(loss), step, self._failed))

    def _check(self) -> None:
        failed = int(self._failed.numpy())
        if failed >= 0:
            raise VisageError(
                f"The loss is not a number any more at step {failed} (epoch {math.ceil(failed / self.steps)}).",
                "Try a lower train.optimizer.learning_rate, a longer train.optimizer.warmup_epochs or a smaller "
                "train.optimizer.clip_norm.",
            )


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


def _hope(history: list[dict[str, float]], settings: Settings) -> bool:
    return not history or len(history) - _best(history, settings) < settings.train.stop.patience


def _line(row: Mapping[str, float], epochs: int, left: float) -> str:
    figures = [f"{name} {row[name]:.4g}" for name in ("loss", *FIGURES) if name in row]
    return (
        f"epoch {row['epoch']} of {epochs}: {', '.join(figures)}; "
        f"{row['images_per_second']:.0f} images/s, {row['input_wait']:.0%} waiting for input, "
        f"at most {left / 60:.1f} min left"
    )
