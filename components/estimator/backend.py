"""What computes beneath Keras, TensorFlow or JAX (`KERAS_BACKEND`), and what Keras has no word of its own for.

TensorFlow reads and decodes faces in either case; nothing here or beside it imports it before it is needed.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from schemas.error import VisageError

Tensor = Any
"""An array of NumPy, TensorFlow or JAX: operators and `keras.ops` take them all."""

Backend = Literal["tensorflow", "jax"]
BACKENDS: tuple[Backend, ...] = ("tensorflow", "jax")


def demand() -> None:
    """See that there is a backend, without importing any.

    Raises:
        VisageError: KERAS_BACKEND names one that Visage does not know, or that is not installed.
    """
    requested = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if requested not in BACKENDS:
        raise _unknown(requested)
    if find_spec(requested) is None:
        raise VisageError(
            f"KERAS_BACKEND is {requested}, which is not installed.",
            "Unset it, and TensorFlow computes; JAX comes with pip install 'visage[jax]'.",
            usage=True,
        )


def name() -> Backend:
    """The backend that computes.

    Raises:
        VisageError: Visage does not know it.
    """
    import keras

    configured = keras.config.backend()
    for known in BACKENDS:
        if configured == known:
            return known
    raise _unknown(configured)


def _unknown(requested: str) -> VisageError:
    return VisageError(
        f"Keras is to compute with {requested}; Visage knows {' and '.join(BACKENDS)}.",
        "Set KERAS_BACKEND to one of them, or unset it.",
        usage=True,
    )


def forward(network: Any) -> Callable[[Tensor], Mapping[str, Tensor]]:
    """The outputs of a network as a compiled function of faces, uint8 [N, size, size, 3], N as it comes.

    Its weights are those that the network has at the time of a call.
    """
    return _forward_on_jax(network) if name() == "jax" else _forward_on_tensorflow(network)


def _forward_on_tensorflow(network: Any) -> Callable[[Tensor], Mapping[str, Tensor]]:
    import tensorflow as tf

    # With an open batch in the signature, nothing is traced twice.
    return tf.function(
        lambda faces: network(tf.cast(faces, tf.float32), training=False),
        input_signature=[tf.TensorSpec([None, *network.input.shape[1:]], tf.uint8)],
    )


def _forward_on_jax(network: Any) -> Callable[[Tensor], Mapping[str, Tensor]]:
    import numpy as np

    # Found by name: a plain import would make JAX a requirement of every registered model where it is installed.
    jax = import_module("jax")

    @jax.jit
    def run(weights: Any, faces: Tensor) -> Mapping[str, Tensor]:
        return network.stateless_call(*weights, faces.astype("float32"), training=False)[0]

    largest = 0

    def outputs(faces: Tensor) -> Mapping[str, Tensor]:
        nonlocal largest
        faces = np.asarray(faces)
        count = len(faces)
        largest = max(largest, count)
        # Each number of faces is compiled anew: powers of two, and the most that came, are few.
        padded = min(largest, 1 << (count - 1).bit_length())
        if padded > count:
            faces = np.concatenate([faces, np.repeat(faces[-1:], padded - count, axis=0)])
        weights = [
            [weight.value for weight in kind] for kind in (network.trainable_variables, network.non_trainable_variables)
        ]
        return {name: np.asarray(output)[:count] for name, output in run(weights, faces).items()}

    return outputs


def leave_gpus_to_jax() -> None:
    """Hide GPUs from TensorFlow where JAX computes: it only reads there, and would take their memory all the same."""
    if name() == "jax":
        with suppress(ImportError, RuntimeError):  # it is not there; or was at work before this
            import tensorflow as tf

            tf.config.set_visible_devices([], "GPU")
