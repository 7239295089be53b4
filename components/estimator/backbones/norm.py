"""Batch normalisation that does not depend on how a batch is spread over devices."""

from keras import layers

from components.estimator import backend


def batch_norm(momentum: float = 0.99) -> layers.Layer:
    """The statistics are those of the whole batch where several devices share it, and the layer's own where one has it all.

    On JAX a batch is one array, however many devices hold it, and its mean is that of the whole.
    """
    return layers.BatchNormalization(momentum=momentum, synchronized=backend.name() == "tensorflow" and _is_shared())


def _is_shared() -> bool:
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync > 1
