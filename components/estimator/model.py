"""The estimator as Keras models: one for training, one to keep."""

import keras

from components.estimator import heads
from components.estimator.backbones import residual
from components.estimator.pixels import scaled
from components.estimator.settings import EstimatorSettings


def build(settings: EstimatorSettings) -> keras.Model:
    """The model that is trained: pixels [N, size, size, 3], 0 to 255, to logits by head."""
    image = keras.Input((settings.size, settings.size, 3), name="image")
    features = residual.features(scaled(image, settings.pixels), settings.backbone)
    return keras.Model(image, heads.logits(features, settings), name="estimator")


def inference(model: keras.Model) -> keras.Model:
    """The model that is saved: the same weights, probabilities for logits."""
    return keras.Model(model.input, heads.probabilities(model.output), name="estimator")
