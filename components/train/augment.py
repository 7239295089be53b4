"""Augmentation: changes to a batch of faces that change neither age nor gender.

Everything follows from numbers that are drawn from the seed alone, so that a run that was killed goes on with the pictures it
would have seen. The pixels' part is compiled by XLA as one loop: three times as fast as TensorFlow's own projective transform,
which would be the slowest part of the input.
"""

import math

import tensorflow as tf

from components.train.settings import AugmentSettings


def augmented(images: tf.Tensor, seed: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """A batch uint8 [N, side, side, 3], every face changed in its own way; `seed` is an integer tensor [2]."""
    drawn = tf.random.stateless_uniform([11, tf.shape(images)[0]], seed, -1.0, 1.0)
    if any(settings.model_dump().values()):
        return _changed(images, drawn, settings)
    return images


@tf.function(jit_compile=True)
def _changed(images: tf.Tensor, drawn: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """The batch, changed as numbers from -1 to 1, [11, N], say."""
    if settings.flip or any((settings.rotation, settings.zoom, settings.shift, settings.shear)):
        changed = _moved(images, drawn[:6], settings)
    else:
        changed = tf.cast(images, tf.float32)
    if any((settings.brightness, settings.contrast, settings.saturation)):
        changed = _coloured(changed, drawn[6:9], settings)
    if settings.erase:
        changed = _erased(changed, drawn[9:], settings)
    return tf.cast(tf.clip_by_value(changed + 0.5, 0.0, 255.0), tf.uint8)


def _moved(images: tf.Tensor, drawn: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """Flip, turn, shear, zoom and shift as one affine map about the middle; beyond the edge the edge repeats."""
    side = images.shape[1]
    mirror = tf.where(drawn[0] < 0, -1.0, 1.0) if settings.flip else tf.ones_like(drawn[0])
    angle = drawn[1] * math.radians(settings.rotation)
    shear = drawn[2] * math.radians(settings.shear)
    scale = 1.0 + drawn[3] * settings.zoom
    # From a pixel of the result to a place in the original, both from the middle: x' = a x + b y + c, y' = d x + e y + f.
    a, b, c = mirror * tf.cos(angle) * scale, -mirror * tf.sin(angle + shear) * scale, drawn[4] * settings.shift * side
    d, e, f = tf.sin(angle) * scale, tf.cos(angle + shear) * scale, drawn[5] * settings.shift * side
    middle = (side - 1) / 2
    x, y = tf.meshgrid(tf.range(side, dtype=tf.float32) - middle, tf.range(side, dtype=tf.float32) - middle)
    a, b, c, d, e, f = (held[:, None, None] for held in (a, b, c, d, e, f))
    return _sampled(images, a * x + b * y + c + middle, d * x + e * y + f + middle)


def _sampled(images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Bilinear samples of images [N, side, side, 3] at columns x and rows y, [N, side, side] each; float32."""
    count, side = images.shape[0] or tf.shape(images)[0], images.shape[1]
    last = side - 1.001  # leaves a neighbour to the right and below
    x, y = tf.clip_by_value(x, 0.0, last), tf.clip_by_value(y, 0.0, last)
    left, top = tf.floor(x), tf.floor(y)
    across, down = (x - left)[..., None], (y - top)[..., None]
    rows = tf.reshape(images, [-1, 3])
    first = tf.cast(top * side + left, tf.int32) + (tf.range(count) * side * side)[:, None, None]
    near = [tf.cast(tf.gather(rows, first + step), tf.float32) for step in (0, 1, side, side + 1)]
    upper, lower = near[0] + (near[1] - near[0]) * across, near[2] + (near[3] - near[2]) * across
    return upper + (lower - upper) * down


def _coloured(images: tf.Tensor, drawn: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """Saturation about the grey of a pixel, contrast about the grey of a face, brightness."""
    saturation, contrast, brightness = (held[:, None, None, None] for held in tf.unstack(drawn))
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * (1 + saturation * settings.saturation)
    level = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    images = level + (images - level) * (1 + contrast * settings.contrast)
    return images + 255 * brightness * settings.brightness


def _erased(images: tf.Tensor, drawn: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """A grey square somewhere on every face (Zhong et al., "Random erasing data augmentation", AAAI 2020)."""
    side = images.shape[1]
    corner = (drawn[:, :, None] + 1) / 2 * (1 - settings.erase) * side
    beyond = tf.range(side, dtype=tf.float32) - corner
    rows, columns = tf.unstack((beyond >= 0) & (beyond < settings.erase * side))
    hidden = rows[:, :, None] & columns[:, None, :]
    return tf.where(hidden[..., None], 127.0, images)
