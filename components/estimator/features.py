"""What the heads of a saved estimator see of a face: vectors that other heads can be fitted to."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np

from components.estimator.saved import Estimator

_HEADS = ("rank", "age", "gender")
"""Layers of the heads that take features, by name; where ages have one rank, `age` takes that."""


def features(estimator: Estimator, jpegs: Sequence[bytes]) -> np.ndarray:
    """The features of encoded faces, float32 [N, width]; those of all members of an ensemble beside each other.

    Raises:
        ValueError: one of them is no picture that can be decoded.
    """
    models = [_before_heads(model) for model in _with_heads(estimator.network)]
    parts = [
        np.concatenate([np.asarray(model(squares.astype(np.float32), training=False)) for model in models], axis=1)
        for squares in estimator.squares_of_jpegs(jpegs)
    ]
    return np.concatenate(parts)


def _with_heads(network: keras.Model) -> Iterator[keras.Model]:
    """The innermost models with heads: a saved model may show each face twice, or be the average of several."""
    within = [layer for layer in network.layers if isinstance(layer, keras.Model) and list(_with_heads(layer))]
    if within:
        for model in within:
            yield from _with_heads(model)
    elif any(layer.name in _HEADS for layer in network.layers):
        yield network


def _before_heads(network: keras.Model) -> keras.Model:
    heads = {layer.name: layer for layer in network.layers if layer.name in _HEADS}
    if "rank" in heads:
        heads.pop("age", None)
    head_inputs = list({id(layer.input): layer.input for layer in heads.values()}.values())
    return keras.Model(
        network.input, keras.layers.Concatenate()(head_inputs) if len(head_inputs) > 1 else head_inputs[0]
    )
