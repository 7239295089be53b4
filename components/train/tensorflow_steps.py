"""Training steps on TensorFlow: a graph that devices and hosts share by a strategy."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from components.estimator import losses
from components.estimator.backend import Tensor
from components.train.optimizer import Average


class TensorFlowSteps:
    """The step of a model in training, and what is counted over the steps.

    Attributes:
        done: how many there were, a variable; it belongs to a checkpoint.
        step: makes one step of a batch of images and labels.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.Optimizer,
        average: Average | None,
        objective: Callable[[Callable[[Tensor], Tensor]], losses.Objective],
        strategy: tf.distribute.Strategy,
        *,
        xla: bool,
    ) -> None:
        """Args are what a step changes, the loss by what sums over devices, the devices, and whether XLA compiles the step."""
        self._model, self._optimizer, self._average, self._strategy = model, optimizer, average, strategy
        self._replicas = strategy.num_replicas_in_sync
        self._objective = objective(self._summed)
        self.done = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._failed = tf.Variable(-1, trainable=False, dtype=tf.int64)
        self._loss = tf.Variable(0.0, trainable=False)
        self.step = tf.function(self._one_step, jit_compile=xla, reduce_retracing=True)

    def shared(self, batches: Callable[[Any], tf.data.Dataset]) -> Iterable[Any]:
        """The batches of an epoch, each as what the devices of this host see of it; the function is given the host's share."""
        return self._strategy.distribute_datasets_from_function(batches)

    def begin_epoch(self) -> None:
        """The loss is summed anew."""
        self._loss.assign(0.0)

    def settle(self) -> None:
        """The variables hold what the steps made of them: they always do."""

    def loss(self) -> float:
        """The sum over the steps of the epoch."""
        return float(self._loss.numpy())

    def failed(self) -> int:
        """The number of the first step whose loss was not a number; negative where there was none. Waits for the device."""
        return int(self._failed.numpy())

    def of_each(self, value: float) -> list[float]:
        """A number of every replica, the same list on all hosts."""
        mine = self._strategy.run(lambda: self._summed(tf.one_hot(self._replica(), self._replicas) * value))
        return self._strategy.experimental_local_results(mine)[0].numpy().tolist()

    def of_first(self, values: Sequence[float]) -> list[float]:
        """Numbers of the first replica, the same on all hosts."""
        own_values = tf.constant(values, tf.float64)
        first_values = self._strategy.run(
            lambda: self._summed(tf.where(self._replica() == 0, own_values, tf.zeros_like(own_values)))
        )
        return self._strategy.experimental_local_results(first_values)[0].numpy().tolist()

    def _replica(self) -> tf.Tensor:
        """Number of the replica that asks, of all hosts."""
        return tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)

    def _one_step(self, images: tf.Tensor, labels: losses.Labels) -> None:
        loss = self._strategy.run(self._on_replica, args=(images, labels))
        loss = self._strategy.experimental_local_results(loss)[0]
        self.done.assign_add(1)
        if self._average:
            self._average.update(self.done)
        self._loss.assign_add(loss)
        fails_first = (self._failed < 0) & ~tf.math.is_finite(loss)
        self._failed.assign(tf.where(fails_first, self.done, self._failed))

    def _on_replica(self, images: tf.Tensor, labels: losses.Labels) -> tf.Tensor:
        """A device's part of a step; gives the loss of the whole batch."""
        with tf.GradientTape() as tape:
            outputs = self._model(tf.cast(images, tf.float32), training=True)
            loss = tf.add_n(list(self._objective(labels, outputs).values()))
            scaled = self._optimizer.scale_loss(loss)
        variables = self._model.trainable_variables
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
