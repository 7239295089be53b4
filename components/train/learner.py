"""A model in training, what makes it better, and the weights that are kept."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from components.estimator import backend, heads, losses, model, pixels, saved
from components.estimator.backbones import folded
from components.step import Tracker
from components.train import checkpoint, devices
from components.train.optimizer import Average, optimizer, schedule
from components.train.settings import Settings
from schemas.error import VisageError

if TYPE_CHECKING:
    from components.train.jax_steps import JaxSteps
    from components.train.tensorflow_steps import TensorFlowSteps

FIGURES = ("val_loss", "val_age_mae", "val_age_rmse", "val_age_class_accuracy", "val_gender_accuracy")
"""What can be known of an epoch's weights on the validation split; left out where no example has the label."""

REPORT_SECONDS = 0.5
"""Between two reports of progress; only then does the host wait for the device."""


class Learner:
    """A model in training.

    Attributes:
        model: the one that steps change, in the precision that the recipe asks for.
        ema_model: the one that is validated and saved: float32, with the average of the weights where one is asked for.
        step: takes images and labels, and makes one step of them.
        age_bins: what the age output means.
    """

    def __init__(
        self,
        settings: Settings,
        age_bins: heads.AgeBins,
        weights: losses.Weights,
        steps: int,
        strategy: devices.Strategy,
    ) -> None:
        """Args are the recipe, the age bins, the weight of examples by label, the steps of an epoch, and the devices.

        Raises:
            VisageError: the recipe does not suit the devices.
        """
        self.age_bins = age_bins
        self._settings = settings
        self._steps_an_epoch = steps
        self._steps = steps * settings.train.epochs
        replicas = devices.count(strategy)
        on_jax = backend.name() == "jax"  # there XLA compiles every step
        if settings.train.batch_size % replicas or (settings.train.xla and replicas > 1 and not on_jax):
            raise VisageError(
                f"{replicas} devices share the work: train.batch_size must be a multiple of that, train.xla false.",
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
                replicas=1 if on_jax else replicas,
            )
            self._optimizer.build(self.model.trainable_variables)
        self._rate = schedule(settings.train.optimizer, self._steps, steps)
        apart = settings.train.average > 0 or policy != "float32"
        self._average = Average(self.model, model.build(settings.estimator), settings.train.average) if apart else None
        self.ema_model = self._average.model if self._average else self.model
        self._objective = losses.objective(settings.estimator, age_bins)
        taught = (
            self.model,
            self._optimizer,
            self._average,
            partial(losses.objective, settings.estimator, age_bins, weights),
        )
        self._stepper = _stepper(*taught, strategy, xla=settings.train.xla)
        self.step = self._stepper.step
        self._logits = backend.forward(self.ema_model)

    def shared(self, batches: Callable[[Any], Any]) -> Iterable[Any]:
        """The batches of an epoch, each as the devices of this host see it; the function is told the host's share."""
        return self._stepper.shared(batches)

    def start(self, batches: Iterable[Any]) -> None:
        """What comes before the first step; the batches are the faces of the training split as they are."""
        pixels.fit(self.model, (images for images, _ in batches))
        folded.unfold(self.model, (np.asarray(images) for images, _ in batches))
        if self._average:
            self._average.restart()

    def epoch(self, number: int, batches: Iterable[Any], batch: int, tracker: Tracker) -> dict[str, float]:
        """One pass over the batches, of so many examples over all devices; the figures of it.

        Raises:
            VisageError: the loss is not a number any more.
        """
        self._stepper.begin_epoch()
        began = reported = time.monotonic()
        waited, seen = 0.0, 0
        source: Iterator[Any] = iter(batches)
        for step in range(1, self._steps_an_epoch + 1):
            requested = time.monotonic()
            images, labels = next(source)
            waited += time.monotonic() - requested
            self.step(images, labels)
            seen += batch
            if time.monotonic() - reported > REPORT_SECONDS or step == self._steps_an_epoch:
                reported = time.monotonic()
                self.wait()
                tracker.progress((number - 1) * self._steps_an_epoch * batch + seen, self._steps * batch, "images")
        seconds = time.monotonic() - began
        self._stepper.settle()
        done = int(np.asarray(self._stepper.done))
        return {
            "epoch": number,
            "steps": done,
            "learning_rate": float(self._rate(done)),
            "loss": self._stepper.loss() / self._steps_an_epoch,
            "seconds": seconds,
            "images_per_second": seen / seconds,
            "input_wait": waited / seconds,
        }

    def validate(self, batches: Iterable[Any]) -> dict[str, float]:
        """Those of `FIGURES` that the labels allow, of the kept weights."""
        logit_batches, label_batches = [], []
        for images, label in batches:
            logit_batches.append(self._logits(images))
            label_batches.append(label)
        logits, labels = _joined(logit_batches), _joined(label_batches)
        loss = sum(float(part) for part in self._objective(labels, logits).values())
        outputs = heads.probabilities(logits, self._settings.estimator)
        return {"val_loss": loss} | _figures(
            {name: np.asarray(value) for name, value in outputs.items()},
            labels,
            self.age_bins,
            classes=bool(self._settings.estimator.age.edges),
        )

    def agree(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The first replica's figures, for the hosts of all.

        Each host computes them, and the last digits may differ: when to stop and which weights to keep must not.
        """
        return dict(zip(figures, self._stepper.of_first(list(figures.values())), strict=True))

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
        if len(set(self._stepper.of_each(len(history)))) > 1:
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

    def _groups(self) -> Mapping[str, list[Any]]:
        groups = {"model": self.model.variables, "optimizer": self._optimizer.variables, "steps": [self._stepper.done]}
        return groups | ({"average": self._average.model.variables} if self._average else {})

    def wait(self) -> None:
        """Wait for the device to finish its steps.

        Raises:
            VisageError: the loss is not a number any more.
        """
        failed = self._stepper.failed()
        if failed >= 0:
            raise VisageError(
                f"The loss is not a number any more at step {failed} "
                f"(epoch {math.ceil(failed / self._steps_an_epoch)}).",
                "Try a lower train.optimizer.learning_rate, a longer train.optimizer.warmup_epochs or a smaller "
                "train.optimizer.clip_norm.",
            )


def _stepper(
    trained: keras.Model,
    optimizer: keras.Optimizer,
    average: Average | None,
    objective: Callable[[Callable[[backend.Tensor], backend.Tensor]], losses.Objective],
    strategy: devices.Strategy,
    *,
    xla: bool,
) -> "TensorFlowSteps | JaxSteps":
    """What makes steps, on the backend that computes; JAX has XLA compile them in any case."""
    if backend.name() == "jax":
        from components.train.jax_steps import JaxSteps

        return JaxSteps(trained, optimizer, average, objective, strategy)
    from components.train.tensorflow_steps import TensorFlowSteps

    return TensorFlowSteps(trained, optimizer, average, objective, strategy, xla=xla)


def _joined(parts: list[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Arrays of several batches as one, by name."""
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


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
