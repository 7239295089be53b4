"""Batch normalisation of published weights that was folded into the convolutions before it: a factor and a summand a channel.

Such a layer has no statistics. In inference it does what it is to do with mean 0 and variance 1. In a training step, which
normalises by the batch, it would not: every channel would come out with another mean and another spread than the next layer has
learned to expect. So training begins with `unfold`.
"""

from collections.abc import Iterable

import keras
import numpy as np

FACES = 512
"""Faces that the statistics are taken of, about."""

_AT_ONCE = 16
"""Faces whose feature maps are held at once."""


def fold(norm: keras.layers.BatchNormalization, scale: np.ndarray, shift: np.ndarray) -> None:
    """Make a layer multiply its channels by a factor and add a summand."""
    norm.set_weights([scale, shift, np.zeros_like(scale), np.full_like(scale, 1 - norm.epsilon)])


def unfold(model: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Give folded layers the statistics of faces, and such weights that in inference they do what they did.

    Args:
        model: as `components.estimator.model.build` makes it; where it has no folded layers nothing happens.
        batches: of faces, uint8 [N, size, size, 3]; no more are taken than are needed.
    """
    for network in [layer for layer in model.layers if isinstance(layer, keras.Model)]:
        norms = [layer for layer in network.layers if _is_folded(layer)]
        if norms:
            preprocessing = keras.Model(model.input, model.layers[model.layers.index(network) - 1].output)
            maps = keras.Model(network.input, [norm.input for norm in norms])
            _set_statistics(norms, preprocessing, maps, batches)


def _is_folded(layer: keras.Layer) -> bool:
    if not isinstance(layer, keras.layers.BatchNormalization):
        return False
    _, _, mean, variance = layer.get_weights()
    return not mean.any() and bool((variance == np.float32(1 - layer.epsilon)).all())


def _set_statistics(
    norms: list[keras.Layer], preprocessing: keras.Model, maps: keras.Model, batches: Iterable[np.ndarray]
) -> None:
    moments: list[list[np.ndarray]] = []
    for batch in batches:
        for first in range(0, len(batch), _AT_ONCE):
            pixels = preprocessing(np.asarray(batch[first : first + _AT_ONCE], np.float32), training=False)
            moments.append([_moments(values) for values in maps(pixels, training=False)])
        if len(moments) * _AT_ONCE >= FACES:
            break
    for norm, of_parts in zip(norms, zip(*moments, strict=True), strict=True):
        means, variances = np.stack(of_parts, axis=1)
        mean, variance = means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0)
        scale, shift, _, _ = norm.get_weights()
        norm.set_weights([scale * np.sqrt(variance + norm.epsilon), shift + scale * mean, mean, variance])


def _moments(values: keras.KerasTensor) -> np.ndarray:
    """Mean and variance of every channel of feature maps [N, height, width, channels]: [2, channels]."""
    moments = keras.ops.moments(keras.ops.cast(values, "float32"), axes=(0, 1, 2))
    return np.stack([keras.ops.convert_to_numpy(part) for part in moments])
