"""A model in training, what makes it better, and the weights that are kept."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.estimator import heads, losses, model, pixels, saved
from components.estimator.backbones import folded
from components.step import Tracker
from components.train import checkpoint, devices
from components.train.optimizer import Average, optimizer, schedule
from components.train.settings import Settings
from schemas.error import VisageError

FIGURES = ("val_loss", "val_age_mae", "val_age_rmse", "val_age_class_accuracy", "val_gender_accuracy")
"""What can be known of an epoch's weights on the validation split; left out where no example has the label."""

REPORT_SECONDS = 0.5
"""Between two reports of progress; only then does the host wait for the device."""


class Learner:
    """A model in training.

    Attributes:
        model: the one that steps change, in the precision that the recipe asks for.
        kept: the one that is validated and saved: float32, with the average of the weights where one is asked for.
        step: takes images and labels, and makes one step of them.
        age_bins: what the age output means.
    """

    def __init__(
        self,
        settings: Settings,
        age_bins: heads.AgeBins,
        weights: losses.Weights,
        steps: int,
        strategy: tf.distribute.Strategy,
    ) -> None:
        """Args are the recipe, the age bins, the weight of examples by label, the steps of an epoch, and the devices.

        Raises:
            VisageError: the recipe does not suit the devices.
        """
        self.age_bins = age_bins
        self._settings = settings
        self._steps_an_epoch = steps
        self._steps = steps * settings.train.epochs
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync
        if settings.train.batch_size % self._replicas or (settings.train.xla and self._replicas > 1):
            raise VisageError(
                f"{self._replicas} devices share the work: train.batch_size must be a multiple of that, train.xla false.",
                "Show fewer devices with CUDA_VISIBLE_DEVICES, or change the settings.",
                usage=True,
            )
        policy = devices.policy(settings.train.precision)
        with strategy.scope(), devices.precision(policy):
            self.model = model.build(settings.estimator)
            self._optimizer = optimizer(
                settings.train.optimizer,
                self._steps,
                steps,
                scaled=policy == "mixed_float16",
                replicas=self._replicas,
            )
            self._optimizer.build(self.model.trainable_variables)
        self._rate = schedule(settings.train.optimizer, self._steps, steps)
        apart = settings.train.average > 0 or policy != "float32"
        self._average = Average(self.model, model.build(settings.estimator), settings.train.average) if apart else None
        self.ema_model = self._average.model if self._average else self.model
        self._objective = losses.objective(settings.estimator, age_bins)
        self._weighted = losses.objective(settings.estimator, age_bins, weights, self._summed)
        self._done = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._failed = tf.Variable(-1, trainable=False, dtype=tf.int64)
        self._loss = tf.Variable(0.0, trainable=False)
        self.step = tf.function(self._one_step, jit_compile=settings.train.xla, reduce_retracing=True)
        self._logits = tf.function(
            lambda images: self.ema_model(tf.cast(images, tf.float32), training=False), reduce_retracing=True
        )

    def start(self, batches: tf.data.Dataset) -> None:
        """What comes before the first step; the batches are the faces of the training split as they are."""
        pixels.fit(self.model, (images for images, _ in batches))
        folded.unfold(self.model, (images.numpy() for images, _ in batches))
        if self._average:
            self._average.restart()

    def epoch(self, number: int, batches: Iterable[Any], batch: int, tracker: Tracker) -> dict[str, float]:
        """One pass over the batches, of so many examples over all devices; the figures of it.

        Raises:
            VisageError: the loss is not a number any more.
        """
        self._loss.assign(0.0)
        began = told = time.monotonic()
        waited, seen = 0.0, 0
        source: Iterator[Any] = iter(batches)
        for step in range(1, self._steps_an_epoch + 1):
            asked = time.monotonic()
            images, labels = next(source)
            waited += time.monotonic() - asked
            self.step(images, labels)
            seen += batch
            if time.monotonic() - told > REPORT_SECONDS or step == self._steps_an_epoch:
                told = time.monotonic()
                self.wait()
                tracker.progress((number - 1) * self._steps_an_epoch * batch + seen, self._steps * batch, "images")
        seconds = time.monotonic() - began
        return {
            "epoch": number,
            "steps": int(self._done.numpy()),
            "learning_rate": float(self._rate(self._done)),
            "loss": float(self._loss.numpy()) / self._steps_an_epoch,
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
        outputs = heads.probabilities(logits, self._settings.estimator)
        return {"val_loss": loss} | _figures(
            {name: value.numpy() for name, value in outputs.items()},
            {name: value.numpy() for name, value in labels.items()},
            self.age_bins,
            classes=bool(self._settings.estimator.age.edges),
        )

    def agree(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The first replica's figures, for the hosts of all.

        Each host computes them, and the last digits may differ: when to stop and which weights to keep must not.
        """
        return dict(zip(figures, self._of_first(list(figures.values())), strict=True))

    def save(self, path: Path, history: list[dict[str, float]]) -> None:
        """Write a checkpoint."""
        checkpoint.write(path, self._groups(), {"history": history})

    def save_weights(self, path: Path) -> None:
        """Write the weights that would be kept."""
        checkpoint.write(path, {"model": self.ema_model.variables}, {})

    def load_weights(self, path: Path) -> None:
        """Take up weights that were written by `save_weights`.

        Raises:
            VisageError: they are not there or cannot be read.
        """
        if self._read(path, {"model": self.ema_model.variables}) is None:
            raise VisageError(f"The checkpoint is damaged: {path} is missing.", f"Delete {path.parent} to start anew.")

    def resume(self, path: Path) -> list[dict[str, float]]:
        """Take up a checkpoint, if there is one; the history up to it.

        Raises:
            VisageError: it cannot be read, or is of another epoch than those of the other hosts.
        """
        state = self._read(path, self._groups())
        history = state["history"] if state else []
        if len(set(self._of_each(len(history)))) > 1:
            raise VisageError(
                f"{path} is of epoch {len(history)}, those of the other hosts are not all.",
                "Start all hosts anew, with empty output folders.",
            )
        return history

    def _read(self, path: Path, groups: Mapping[str, list[Any]]) -> dict[str, Any] | None:
        try:
            return checkpoint.read(path, groups)
        except ValueError as error:
            raise VisageError(f"The checkpoint is damaged: {error}", f"Delete {path.parent} to start anew.") from error

    def _of_each(self, value: float) -> list[float]:
        """A number of every replica, the same list on all hosts."""
        mine = self._strategy.run(lambda: self._summed(tf.one_hot(self._replica(), self._replicas) * value))
        return self._strategy.experimental_local_results(mine)[0].numpy().tolist()

    def _of_first(self, values: list[float]) -> list[float]:
        """Numbers of the first replica, the same on all hosts."""
        given = tf.constant(values, tf.float64)
        told = self._strategy.run(lambda: self._summed(tf.where(self._replica() == 0, given, tf.zeros_like(given))))
        return self._strategy.experimental_local_results(told)[0].numpy().tolist()

    def _replica(self) -> tf.Tensor:
        """Number of the replica that asks, of all hosts."""
        return tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)

    def _groups(self) -> Mapping[str, list[Any]]:
        groups = {"model": self.model.variables, "optimizer": self._optimizer.variables, "steps": [self._done]}
        return groups | ({"average": self._average.model.variables} if self._average else {})

    def _one_step(self, images: tf.Tensor, labels: losses.Labels) -> None:
        loss = self._strategy.run(self._on_replica, args=(images, labels))
        loss = self._strategy.experimental_local_results(loss)[0]
        self._done.assign_add(1)
        if self._average:
            self._average.update(self._done)
        self._loss.assign_add(loss)
        fails_first = (self._failed < 0) & ~tf.math.is_finite(loss)
        self._failed.assign(tf.where(fails_first, self._done, self._failed))

    def _on_replica(self, images: tf.Tensor, labels: losses.Labels) -> tf.Tensor:
        """A device's part of a step; gives the loss of the whole batch."""
        with tf.GradientTape() as tape:
            outputs = self.model(tf.cast(images, tf.float32), training=True)
            loss = tf.add_n(list(self._weighted(labels, outputs).values()))
            scaled = self._optimizer.scale_loss(loss)
        variables = self.model.trainable_variables
        gradients = tape.gradient(scaled, variables)
        if self._replicas > 1:
            gradients = [total / self._replicas for total in self._summed(gradients)]
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return self._summed(loss)

    def _summed(self, values: Any) -> Any:
        """The sum over all replicas."""
        if self._replicas == 1:
            return values
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def wait(self) -> None:
        """Wait for the device to finish its steps.

        Raises:
            VisageError: the loss is not a number any more.
        """
        failed = int(self._failed.numpy())
        if failed >= 0:
            raise VisageError(
                f"The loss is not a number any more at step {failed} "
                f"(epoch {math.ceil(failed / self._steps_an_epoch)}).",
                "Try a lower train.optimizer.learning_rate, a longer train.optimizer.warmup_epochs or a smaller "
                "train.optimizer.clip_norm.",
            )


def _figures(
    outputs: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], age_bins: heads.AgeBins, *, classes: bool
) -> dict[str, float]:
    predictions = saved.interpret(outputs, age_bins)
    figures = {}
    error = np.abs(predictions.age - labels["age"])[~np.isnan(labels["age"])]
    if error.size:
        figures["val_age_mae"] = float(error.mean())
        figures["val_age_rmse"] = math.sqrt(float(np.square(error).mean()))
    right = (predictions.age_class == labels["age_class"])[labels["age_class"] >= 0]
    if classes and right.size:
        figures["val_age_class_accuracy"] = float(right.mean())
    right = ((predictions.female > 0.5) == (labels["female"] > 0.5))[~np.isnan(labels["female"])]
    if "female" in outputs and right.size:
        figures["val_gender_accuracy"] = float(right.mean())
    return figures
