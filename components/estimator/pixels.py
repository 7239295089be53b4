"""From a stored face to what the backbone sees.

Decoding and resizing are the same two functions wherever a face enters an estimator, so that training, evaluation and
scoring cannot differ. What comes after them is layers of the saved model.
"""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from components.estimator.backend import Tensor
from components.estimator.settings import PixelSettings
from components.step.resources import free_memory
from schemas.error import VisageError

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_DEVIATION = (58.395, 57.12, 57.375)
"""Of red, green and blue over ImageNet's pixels, 0 to 255."""


def decode(jpeg: Tensor, size: int) -> Tensor:
    """One encoded face as a square of the input size, uint8 [size, size, 3].

    The inverse cosine transform is the exact one, which Pillow uses too; TensorFlow's own choice is faster and a grey level off.
    """
    import tensorflow as tf

    return resize(tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE"), size)


def resize(image: Tensor, size: int) -> Tensor:
    """A face uint8 [height, width, 3] as uint8 [size, size, 3]: bilinear, antialiased where it shrinks.

    Faces of one size go through together too: [N, height, width, 3] become [N, size, size, 3].
    """
    import tensorflow as tf

    def resized() -> Tensor:
        values = tf.image.resize(image, (size, size), method="bilinear", antialias=True)
        return tf.saturate_cast(tf.round(values), tf.uint8)

    fits = tf.reduce_all(tf.shape(image)[-3:-1] == size)
    return tf.ensure_shape(tf.cond(fits, lambda: image, resized), (*image.shape[:-3], size, size, 3))


def values(image: keras.KerasTensor, settings: PixelSettings, published: str) -> keras.KerasTensor:
    """Pixels 0 to 255 as the recipe wants them; `published` is the scaling that the backbone's weights expect."""
    if settings.colour == "grey":
        image = Grey(name="grey")(image)
    image = _scaled(image, published if settings.scaling == "auto" else settings.scaling)
    if settings.standardise:
        image = Standardise(name="standardise")(image)
    if settings.whiten:
        image = Whiten(settings.whiten_epsilon, name="whiten")(image)
    return image


def fit(model: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Fit what must be fitted to pixels before training: the whitening, where there is one.

    Args:
        model: as `components.estimator.model.build` makes it.
        batches: of the training split's faces, uint8 [N, size, size, 3].

    Raises:
        VisageError: the faces are too large to be whitened in this memory.
    """
    whitening = next((layer for layer in model.layers if isinstance(layer, Whiten)), None)
    if whitening is None:
        return
    before = keras.Model(model.input, whitening.input)
    whitening.fit(np.asarray(before(np.asarray(batch), training=False)) for batch in batches)


def _scaled(image: keras.KerasTensor, scaling: str) -> keras.KerasTensor:
    if scaling == "caffe":
        image = Reversed(name="bgr")(image)
        return keras.layers.Rescaling(1.0, [-103.939, -116.779, -123.68], name="scaling")(image)
    if scaling == "imagenet":
        scales = [1 / deviation for deviation in IMAGENET_DEVIATION]
        offsets = [-mean * scale for mean, scale in zip(IMAGENET_MEAN, scales, strict=True)]
        return keras.layers.Rescaling(scales, offsets, name="scaling")(image)
    scale, offset = {"unit": (1 / 255, 0.0), "signed": (1 / 127.5, -1.0), "raw": (1.0, 0.0)}[scaling]
    return keras.layers.Rescaling(scale, offset, name="scaling")(image)


@keras.saving.register_keras_serializable("visage")
class Grey(keras.Layer):
    """Luminance by the weights of ITU-R BT.601, which JPEG uses too: [N, h, w, 3] to [N, h, w, 1]."""

    def call(self, image: Tensor) -> Tensor:
        return ops.sum(image * ops.cast([0.299, 0.587, 0.114], image.dtype), axis=-1, keepdims=True)


@keras.saving.register_keras_serializable("visage")
class Reversed(keras.Layer):
    """Red, green, blue as blue, green, red."""

    def call(self, image: Tensor) -> Tensor:
        return ops.flip(image, axis=-1)


@keras.saving.register_keras_serializable("visage")
class Standardise(keras.Layer):
    """Every face less its mean, over its deviation; an even face becomes zeros (as tf.image.per_image_standardization)."""

    def call(self, image: Tensor) -> Tensor:
        size = image.shape[1] * image.shape[2] * image.shape[3]
        mean = ops.mean(image, axis=(1, 2, 3), keepdims=True)
        deviation = ops.std(image, axis=(1, 2, 3), keepdims=True)
        return (image - mean) / ops.maximum(deviation, size**-0.5)


@keras.saving.register_keras_serializable("visage")
class Whiten(keras.Layer):
    """ZCA whitening: pixels without correlation, as near to the original ones as can be.

    Bell and Sejnowski, "The independent components of natural scenes are edge filters", Vision Research 1997. With the
    eigenvectors U and eigenvalues s of the pixels' covariance, x becomes (x - mean) U (s + epsilon)^-1/2 U^T; float32.
    """

    def __init__(self, epsilon: float, **options: object) -> None:
        super().__init__(**{**options, "trainable": False})
        self.epsilon = epsilon

    def build(self, shape: tuple) -> None:
        width = int(np.prod(shape[1:]))
        need, free = 4 * 4 * width**2, free_memory()
        if need > free:
            raise VisageError(
                f"Whitening {shape[1]} x {shape[2]} pixels of {shape[3]} channels takes a covariance of {width} x {width}: "
                f"about {need / 1e9:.1f} GB with what it takes to work on it, and {free / 1e9:.1f} GB are free.",
                "Set a smaller estimator.size, estimator.pixels.colour=grey, or estimator.pixels.whiten=false.",
            )
        self.mean = self.add_weight(name="mean", shape=(width,), initializer="zeros", dtype="float32")
        self.matrix = self.add_weight(name="matrix", shape=(width, width), initializer="identity", dtype="float32")

    def fit(self, batches: Iterable[np.ndarray]) -> None:
        """Fit mean and matrix to images [N, h, w, channels]; the batches are gone through once."""
        width = self.mean.shape[0]
        count, total, product = 0, np.zeros(width), np.zeros((width, width), np.float32)
        for batch in batches:
            rows = batch.reshape(len(batch), width).astype(np.float32)
            count += len(rows)
            total += rows.sum(axis=0)
            product += rows.T @ rows
        mean = (total / count).astype(np.float32)
        product /= count
        product -= np.outer(mean, mean)
        spectrum, vectors = np.linalg.eigh(product)
        self.mean.assign(mean)
        self.matrix.assign(vectors * (np.maximum(spectrum, 0) + self.epsilon) ** -0.5 @ vectors.T)

    def call(self, image: Tensor) -> Tensor:
        rows = ops.cast(ops.reshape(image, (-1, self.mean.shape[0])), "float32")
        white = ops.matmul(rows - self.mean, self.matrix)
        return ops.cast(ops.reshape(white, (-1, *image.shape[1:])), self.compute_dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "epsilon": self.epsilon}
