"""Augmentation: changes to a batch of faces that change neither age nor gender.

Everything follows from numbers that are drawn from the seed alone, so that a run that was killed goes on with the pictures it
would have seen. What touches pixels is compiled by XLA: four times as fast as TensorFlow's own projective transform, which would
be the slowest part of the input.
"""

import math

import tensorflow as tf

from components.train.settings import AugmentSettings


def augmented(images: tf.Tensor, seed: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """A batch uint8 [N, side, side, 3], every face changed in its own way; `seed` is an integer tensor [2]."""
    drawn = tf.random.stateless_uniform([11, tf.shape(images)[0]], seed, -1.0, 1.0)
    if settings.flip or any((settings.rotation, settings.zoom, settings.shift, settings.shear)):
        images = _moved(images, drawn[:6], settings)
    if any((settings.brightness, settings.contrast, settings.saturation, settings.erase)):
        # The sum is TensorFlow's, because XLA's for processors is several times as slow.
        level = tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2, 3))
        images = _painted(images, level, drawn[6:], settings)
    return images


def _moved(images: tf.Tensor, drawn: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """Flip, turn, shear, zoom and shift as one affine map about the middle, as numbers from -1 to 1, [6, N], say.

    Beyond the edge the edge repeats. One compiled function for it all would sample the picture anew for every colour.
    """
    return _apart(_sampled(_together(images), drawn, settings))


@tf.function(jit_compile=True)
def _together(images: tf.Tensor) -> tf.Tensor:
    """The colours of a pixel as one number, int32 [N, side, side]."""
    red, green, blue = tf.unstack(tf.cast(images, tf.int32), axis=3)
    return red + green * 2**8 + blue * 2**16


@tf.function(jit_compile=True)
def _apart(pixels: tf.Tensor) -> tf.Tensor:
    """The opposite of `_together`."""
    return tf.cast(tf.stack([_colour(pixels, number) for number in range(3)], axis=3), tf.uint8)


def _colour(pixels: tf.Tensor, number: int) -> tf.Tensor:
    return tf.bitwise.bitwise_and(tf.bitwise.right_shift(pixels, 8 * number), 255)


@tf.function(jit_compile=True)
def _sampled(pixels: tf.Tensor, drawn: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """The moved picture by bilinear samples, pixels as `_together` makes them."""
    side = pixels.shape[1]
    x, y = (tf.clip_by_value(place, 0.0, side - 1.001) for place in _places(side, drawn, settings))
    left, top = tf.floor(x), tf.floor(y)  # the limit leaves a neighbour to the right and below
    across, down = x - left, y - top
    first = tf.cast(top * side + left, tf.int32)
    rows = tf.reshape(pixels, [-1, side * side])
    near = [tf.gather(rows, first + step, batch_dims=1) for step in (0, 1, side, side + 1)]

    def sample(number: int) -> tf.Tensor:
        values = [tf.cast(_colour(neighbour, number), tf.float32) for neighbour in near]
        upper, lower = values[0] + (values[1] - values[0]) * across, values[2] + (values[3] - values[2]) * across
        return tf.cast(upper + (lower - upper) * down + 0.5, tf.int32) * 2 ** (8 * number)

    return sample(0) + sample(1) + sample(2)


def _places(side: int, drawn: tf.Tensor, settings: AugmentSettings) -> tuple[tf.Tensor, tf.Tensor]:
    """Column and row in the original of every pixel of the result, [N, side, side] each."""
    mirror = tf.where(drawn[0] < 0, -1.0, 1.0) if settings.flip else tf.ones_like(drawn[0])
    angle = drawn[1] * math.radians(settings.rotation)
    shear = drawn[2] * math.radians(settings.shear)
    scale = 1.0 + drawn[3] * settings.zoom
    # From a pixel of the result to a place in the original, both from the middle: x' = a x + b y + c, y' = d x + e y + f.
    a, b, c = mirror * tf.cos(angle) * scale, -mirror * tf.sin(angle + shear) * scale, drawn[4] * settings.shift * side
    d, e, f = tf.sin(angle) * scale, tf.cos(angle + shear) * scale, drawn[5] * settings.shift * side
    middle = (side - 1) / 2
    x, y = tf.meshgrid(tf.range(side, dtype=tf.float32) - middle, tf.range(side, dtype=tf.float32) - middle)
    a, b, c, d, e, f = (coefficient[:, None, None] for coefficient in (a, b, c, d, e, f))
    return a * x + b * y + c + middle, d * x + e * y + f + middle


@tf.function(jit_compile=True)
def _painted(images: tf.Tensor, level: tf.Tensor, drawn: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """Colours and blots, as numbers from -1 to 1, [5, N], say; `level` is the mean grey of each face."""
    changed = tf.cast(images, tf.float32)
    if any((settings.brightness, settings.contrast, settings.saturation)):
        changed = _coloured(changed, level, drawn[:3], settings)
    if settings.erase:
        changed = _erased(changed, drawn[3:], settings)
    return tf.cast(tf.clip_by_value(changed + 0.5, 0.0, 255.0), tf.uint8)


def _coloured(images: tf.Tensor, level: tf.Tensor, drawn: tf.Tensor, settings: AugmentSettings) -> tf.Tensor:
    """Saturation about the grey of a pixel, contrast about the grey of a face, brightness."""
    level = level[:, None, None, None]
    saturation, contrast, brightness = (change[:, None, None, None] for change in tf.unstack(drawn))
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * (1 + saturation * settings.saturation)
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
