"""From a stored face to what the backbone sees.

Decoding and resizing are the same two functions wherever a face enters an estimator, so that training, evaluation and
scoring cannot differ.
"""

import keras
import tensorflow as tf

from components.estimator.settings import PixelSettings


def decode(jpeg: tf.Tensor, size: int) -> tf.Tensor:
    """One encoded face as a square of the input size, uint8 [size, size, 3].

    The inverse cosine transform is the exact one, which Pillow uses too; TensorFlow's own choice is faster and a grey level off.
    """
    return resize(tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE"), size)


def resize(image: tf.Tensor, size: int) -> tf.Tensor:
    """A face uint8 [height, width, 3] of any size as uint8 [size, size, 3]: bilinear, antialiased where it shrinks."""
    image = tf.image.resize(image, (size, size), method="bilinear", antialias=True)
    return tf.saturate_cast(tf.round(image), tf.uint8)


def scaled(image: keras.KerasTensor, settings: PixelSettings) -> keras.KerasTensor:
    """Pixels 0 to 255 in the range that the recipe asks for."""
    scale, offset = {"unit": (1 / 255, 0.0), "signed": (1 / 127.5, -1.0), "raw": (1.0, 0.0)}[settings.scaling]
    return keras.layers.Rescaling(scale, offset, name="scaling")(image)
