"""Training steps on JAX: one compiled function from a state to the next; several devices share the batch.

Between steps the state is what JAX holds, not what Keras's variables hold: the memory of the one goes to the next ("donated"),
and only `settle` writes it back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from components.estimator import losses
from components.estimator.backend import Tensor
from components.train.optimizer import Average

State = dict[str, Any]
"""Values by what they are of: `trained`, `other` and `average` weights, `optimizer`, and the counts of the steps."""


class JaxSteps:
    """The step of a model in training, and what is counted over the steps.

    Attributes:
        done: how many there were, a variable; it belongs to a checkpoint.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.Optimizer,
        average: Average | None,
        objective: Callable[[Callable[[Tensor], Tensor]], losses.Objective],
        strategy: keras.distribution.DataParallel,
    ) -> None:
        """Args are what a step changes, the loss by what sums over devices, and the devices.

        On JAX a batch is one array, wherever its parts lie: nothing needs to be summed over devices.
        """
        self._model, self._optimizer, self._average, self._strategy = model, optimizer, average, strategy
        self._objective = objective(lambda total: total)
        self.done = keras.Variable(0, trainable=False, dtype="int32", name="steps")
        self._variables: Mapping[str, Sequence[keras.Variable]] = {
            "trained": model.trainable_variables,
            "other": model.non_trainable_variables,
            "optimizer": optimizer.variables,
            "average": average.model.variables if average else [],
        }
        self._everywhere = keras.distribution.TensorLayout([], strategy.device_mesh).backend_layout
        self._state: State | None = None
        self._counted = {"failed": -1, "loss": 0.0}
        self._layouts: dict[int, Any] = {}
        self._compiled = jax.jit(self._one_step, donate_argnums=0, out_shardings=self._everywhere)

    def shared(self, batches: Callable[[Any], Iterable[Any]]) -> Iterable[Any]:
        """The batches of an epoch; the function is told of no share, since the devices of one process divide each batch."""
        return batches(None)

    def begin_epoch(self) -> None:
        """The loss is summed anew."""
        self.settle()
        self._counted["loss"] = 0.0

    def step(self, images: Tensor, labels: losses.Labels) -> None:
        """Make one step of a batch; returns before the device has done it."""
        state = self._state or self._copied_state()
        self._state = self._compiled(
            state, self._placed(images), {name: self._placed(label) for name, label in labels.items()}
        )

    def settle(self) -> None:
        """Write what the steps made into the variables."""
        if self._state is None:
            return
        self._counted = {name: self._state[name].item() for name in self._counted}
        for kind, variables in self._variables.items():
            for variable, value in zip(variables, self._state[kind], strict=True):
                variable.assign(value)
        self.done.assign(self._state["done"])
        self._state = None

    def loss(self) -> float:
        """The sum over the steps of the epoch."""
        return float((self._state or self._counted)["loss"])

    def failed(self) -> int:
        """The number of the first step whose loss was not a number; negative where there was none. Waits for the device."""
        return int((self._state or self._counted)["failed"])

    def of_each(self, value: float) -> list[float]:
        """A number of every host: there is one."""
        return [value]

    def of_first(self, values: Sequence[float]) -> list[float]:
        """Numbers of the first host: there is one."""
        return list(values)

    def _copied_state(self) -> State:
        """The state that the variables hold: copies, since the first step takes the memory, and weights may share theirs."""
        state: State = {
            kind: [jnp.array(variable.value, copy=True) for variable in variables]
            for kind, variables in self._variables.items()
        }
        state |= {
            "done": jnp.array(self.done.value, copy=True),
            "failed": jnp.asarray(self._counted["failed"], "int32"),
            "loss": jnp.asarray(self._counted["loss"], "float32"),
        }
        return jax.device_put(state, self._everywhere)

    def _placed(self, values: Tensor) -> jax.Array:
        """A batch's images or one of its labels, on the devices that share it."""
        array = values if isinstance(values, jax.Array) else np.asarray(values)
        if array.ndim not in self._layouts:
            self._layouts[array.ndim] = self._strategy.get_data_layout(array.shape).backend_layout
        return jax.device_put(array, self._layouts[array.ndim])

    def _one_step(self, state: State, images: jax.Array, labels: Mapping[str, jax.Array]) -> State:
        def loss_of(trained: list[jax.Array]) -> tuple[jax.Array, tuple[jax.Array, list[jax.Array]]]:
            outputs, other = self._model.stateless_call(
                trained, state["other"], images.astype("float32"), training=True
            )
            loss = jnp.asarray(sum(self._objective(labels, outputs).values()))
            with keras.StatelessScope(zip(self._optimizer.variables, state["optimizer"], strict=True)):
                return self._optimizer.scale_loss(loss), (loss, other)

        gradients, (loss, other) = jax.grad(loss_of, has_aux=True)(state["trained"])
        trained, optimizer = self._optimizer.stateless_apply(state["optimizer"], gradients, state["trained"])
        done = state["done"] + 1
        fails_first = (state["failed"] < 0) & ~jnp.isfinite(loss)
        return {
            "trained": trained,
            "other": other,
            "optimizer": optimizer,
            "average": self._followed(state["average"], trained, other, done),
            "done": done,
            "failed": jnp.where(fails_first, done, state["failed"]),
            "loss": state["loss"] + loss,
        }

    def _followed(
        self, average: list[jax.Array], trained: list[jax.Array], other: list[jax.Array], done: jax.Array
    ) -> list[jax.Array]:
        """The moving average, one step further."""
        if not self._average:
            return []
        values_by_kind = dict(zip(("average", "trained", "other"), (average, trained, other), strict=True))
        mapping = [
            pair for kind, values in values_by_kind.items() for pair in zip(self._variables[kind], values, strict=True)
        ]
        with keras.StatelessScope(mapping) as scope:
            self._average.update(done)
        return [scope.get_current_value(variable) for variable in self._variables["average"]]
