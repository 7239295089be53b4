"""Augmentation: changes to a batch of faces that change neither age nor gender.

Everything is drawn from the seed alone, so that a run that was killed goes on with the pictures it would have seen.
"""

import math

import tensorflow as tf

from components.train.settings import AugmentSettings


def augmented(images: tf.Tensor, seed: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """A batch uint8 [N, side, side, 3], every face changed in its own way; `seed` is an integer tensor [2]."""
    geometry, colour, place = tf.unstack(tf.random.split(tf.cast(seed, tf.int32), 3))
    images = tf.cast(images, tf.float32)
    if settings.flip or any((settings.rotation, settings.zoom, settings.shift, settings.shear)):
        images = _moved(images, geometry, settings)
    if any((settings.brightness, settings.contrast, settings.saturation)):
        images = _coloured(images, colour, settings)
    if settings.erase:
        images = _erased(images, place, settings)
    return tf.saturate_cast(tf.round(images), tf.uint8)


def _moved(images: tf.Tensor, seed: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """Flip, turn, shear, zoom and shift as one affine map about the middle; beyond the edge the edge repeats."""
    count, side = tf.shape(images)[0], images.shape[1]
    draw = tf.random.stateless_uniform([6, count], seed, -1.0, 1.0)
    mirror = tf.where(draw[0] < 0, -1.0, 1.0) if settings.flip else tf.ones([count])
    angle = draw[1] * math.radians(settings.rotation)
    shear = draw[2] * math.radians(settings.shear)
    scale = 1.0 + draw[3] * settings.zoom
    across, down = draw[4] * settings.shift * side, draw[5] * settings.shift * side
    # The map leads from a pixel of the result to one of the original: x' = a x + b y + c, y' = d x + e y + f.
    a, b = mirror * tf.cos(angle) * scale, -mirror * tf.sin(angle + shear) * scale
    d, e = tf.sin(angle) * scale, tf.cos(angle + shear) * scale
    middle = (side - 1) / 2
    c, f = middle - (a + b) * middle + across, middle - (d + e) * middle + down
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, tf.zeros([count]), tf.zeros([count])], axis=1),
        output_shape=[side, side],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _coloured(images: tf.Tensor, seed: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    draw = tf.random.stateless_uniform([3, tf.shape(images)[0], 1, 1, 1], seed, -1.0, 1.0)
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * (1 + draw[0] * settings.saturation)
    level = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    images = level + (images - level) * (1 + draw[1] * settings.contrast)
    return images + 255 * draw[2] * settings.brightness


def _erased(images: tf.Tensor, seed: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """A grey square somewhere on every face (Zhong et al., "Random erasing data augmentation", AAAI 2020)."""
    side = images.shape[1]
    corner = tf.random.stateless_uniform([2, tf.shape(images)[0], 1, 1], seed, 0.0, 1.0) * (1 - settings.erase) * side
    beyond = tf.range(side, dtype=tf.float32) - corner
    rows, columns = tf.unstack((beyond >= 0) & (beyond < settings.erase * side))
    hidden = tf.linalg.matrix_transpose(rows) & columns
    return tf.where(hidden[..., None], 127.0, images)
