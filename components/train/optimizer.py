"""The optimizer, its learning rate over the steps, and the moving average of the weights."""

import math

import keras
from keras import ops

from components.estimator.backend import Tensor
from components.train.settings import OptimizerSettings


def optimizer(
    settings: OptimizerSettings, steps: int, steps_per_epoch: int, *, scaled: bool = False, replicas: int = 1
) -> keras.Optimizer:
    """The optimizer that the recipe asks for, for a run of so many steps.

    Args:
        settings: of the recipe.
        steps: of the whole run.
        steps_per_epoch: of an epoch.
        scaled: whether the loss is multiplied, as far as float16 allows, so that small gradients do not become zero
            (Micikevicius et al., "Mixed precision training", ICLR 2018); `scale_loss` of the optimizer does it.
        replicas: over how many devices it sums gradients, each of which is the batch's gradient divided by that number.
    """
    rate = schedule(settings, steps, steps_per_epoch)
    clip = settings.clip_norm / replicas or None
    if settings.name == "sgd":
        made = keras.optimizers.SGD(rate, settings.momentum, settings.nesterov, global_clipnorm=clip)
    elif settings.name == "rmsprop":
        made = keras.optimizers.RMSprop(rate, global_clipnorm=clip)
    elif settings.name == "adam":
        made = keras.optimizers.Adam(rate, global_clipnorm=clip)
    else:
        made = keras.optimizers.AdamW(rate, settings.weight_decay, global_clipnorm=clip)
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return keras.optimizers.LossScaleOptimizer(made) if scaled else made


def schedule(settings: OptimizerSettings, steps: int, steps_per_epoch: int) -> "Schedule":
    """The learning rate over the steps of a run."""
    return Schedule(settings.learning_rate, settings.schedule, int(settings.warmup_epochs * steps_per_epoch), steps)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from 0, then constant, or a half cosine down to 0 (Loshchilov and Hutter, "SGDR", ICLR 2017)."""

    def __init__(self, highest: float, course: str, warmup: int, steps: int) -> None:
        self.highest, self.course, self.warmup, self.steps = highest, course, warmup, steps

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        rise = ops.minimum(1.0, (step + 1) / max(1, self.warmup))
        if self.course == "constant":
            return self.highest * rise
        done = ops.clip((step - self.warmup) / max(1, self.steps - self.warmup), 0.0, 1.0)
        return self.highest * rise * 0.5 * (1 + ops.cos(math.pi * done))

    def get_config(self) -> dict:
        return {"highest": self.highest, "course": self.course, "warmup": self.warmup, "steps": self.steps}


class Average:
    """A second model whose variables are the exponential moving average of the first one's, or with decay 0 their copy.

    It follows closely at first, so that short runs are not held back by the initial weights (the ramp of TensorFlow's
    ExponentialMovingAverage: (1 + step) / (10 + step)).
    """

    def __init__(self, followed: keras.Model, model: keras.Model, decay: float) -> None:
        self.model = model
        self._pairs = list(zip(model.variables, followed.variables, strict=True))
        self._decay = decay
        self.restart()

    def restart(self) -> None:
        """Take over the weights as they are."""
        for mean, value in self._pairs:
            mean.assign(value)

    def update(self, step: Tensor) -> None:
        """Follow one step further; part of the training step's graph."""
        step = ops.cast(step, "float32")
        decay = ops.minimum(self._decay, (1 + step) / (10 + step))
        for mean, value in self._pairs:
            if value.trainable or "moving_" in value.path:  # weights, and the statistics of batch normalisation
                mean.assign(value + (mean - value) * decay)
