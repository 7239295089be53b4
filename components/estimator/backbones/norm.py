"""Batch normalisation that does not depend on how a batch is spread over devices."""

import tensorflow as tf
from keras import layers


def batch_norm(momentum: float = 0.99) -> layers.Layer:
    """The statistics are those of the whole batch where several devices share it, and the layer's own where one has it all."""
    shared = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return layers.BatchNormalization(momentum=momentum, synchronized=shared)
