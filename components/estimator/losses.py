"""What training minimises. Every loss gives one value an example; a label that is missing counts nowhere."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from components.estimator import heads
from components.estimator.settings import AgeSettings, EstimatorSettings

Labels = Mapping[str, tf.Tensor]
"""`age`: years, `female`: 1 or 0; float32 [N], NaN where unknown."""


def objective(settings: EstimatorSettings) -> Callable[[Labels, Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """The loss of every task as a function of labels and logits: mean over the examples whose label is known, weighted."""

    def losses(labels: Labels, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        held = {}
        age, known = _known(labels["age"])
        held["age"] = settings.age.weight * _mean(label_distribution(age, outputs["age"], settings.age), known)
        if "gender" in outputs:
            female, known = _known(labels["female"])
            loss = tf.nn.sigmoid_cross_entropy_with_logits(female, outputs["gender"][:, 0])
            held["gender"] = settings.gender.weight * _mean(loss, known)
        return held

    return losses


def label_distribution(age: tf.Tensor, logits: tf.Tensor, settings: AgeSettings) -> tf.Tensor:
    """Divergence from a Gaussian around the age, and the distance of the expected value, [N].

    DLDL-v2: Gao et al., "Age estimation using expectation of label distribution learning", IJCAI 2018.
    """
    centres = tf.constant(heads.bins(settings).centres)
    target = tf.nn.softmax(-tf.square(centres - age[:, None]) / (2 * settings.sigma**2))
    log_predicted = tf.nn.log_softmax(logits)
    divergence = tf.reduce_sum(target * (tf.math.log(target + 1e-9) - log_predicted), axis=1)
    expected = tf.reduce_sum(tf.exp(log_predicted) * centres, axis=1)
    return divergence + tf.abs(expected - age)


def _known(label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The label with 0 for NaN, so that no gradient is NaN, and 1 where it was known."""
    unknown = tf.math.is_nan(label)
    return tf.where(unknown, 0.0, label), 1.0 - tf.cast(unknown, tf.float32)


def _mean(loss: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(tf.reduce_sum(loss * known), tf.reduce_sum(known))
