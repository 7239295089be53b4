"""What training minimises. Every loss gives one value an example; a label that is missing counts nowhere.

Losses of age take the labels, the logits of the age head and its bins. Those of `BY_CLASS` look at the age class, which
examples with a class and no age have too; the others look at the age in years.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from components.estimator.heads import AgeBins
from components.estimator.settings import AgeSettings, EstimatorSettings

Weights = Mapping[str, np.ndarray]
"""What an example counts, by `age_class` and by `female`; absent where all count alike."""

Labels = Mapping[str, tf.Tensor]
"""`age`: years, NaN where unknown; `age_class`: int32, -1 where unknown; `female`: 1 or 0, NaN where unknown; each [N]."""


def objective(
    settings: EstimatorSettings,
    age_bins: AgeBins,
    weights: Weights | None = None,
    across: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> Callable[[Labels, Labels], dict[str, tf.Tensor]]:
    """The loss by task as a function of labels and logits.

    It is the mean over the examples whose label is known, times the weight of the task.

    Args:
        settings: of the estimator.
        age_bins: of its age head.
        weights: let some labels count for more than others in the mean.
        across: sums over the devices that share a batch; the losses of all devices then add up to that of the batch.
    """
    weights = weights or {}
    age_loss, by_class = AGE_LOSSES[settings.age.loss], settings.age.loss in BY_CLASS

    def losses(labels: Labels, outputs: Labels) -> dict[str, tf.Tensor]:
        unknown = labels["age_class"] < 0 if by_class else tf.math.is_nan(labels["age"])
        # A place-holder for unknown labels, because the gradient of NaN times 0 is NaN.
        filled = {
            "age": tf.where(tf.math.is_nan(labels["age"]), 0.0, labels["age"]),
            "age_class": tf.maximum(labels["age_class"], 0),
        }
        known = _weights(filled["age_class"], ~unknown, weights.get("age_class"))
        held = {
            "age": settings.age.weight * _mean(age_loss(filled, outputs["age"], age_bins, settings.age), known, across)
        }
        if "gender" in outputs:
            unknown = tf.math.is_nan(labels["female"])
            female = tf.where(unknown, 0.0, labels["female"])
            known = _weights(tf.cast(female, tf.int32), ~unknown, weights.get("female"))
            held["gender"] = settings.gender.weight * _mean(
                gender_cross_entropy(female, outputs["gender"]), known, across
            )
        return held

    return losses


def gender_cross_entropy(female: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of one logit [N, 1] or of two [N, 2], male and female."""
    if logits.shape[1] == 1:
        return tf.nn.sigmoid_cross_entropy_with_logits(female, logits[:, 0])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(female, tf.int32), logits)


def cross_entropy(labels: Labels, logits: tf.Tensor, age_bins: AgeBins, settings: AgeSettings) -> tf.Tensor:
    """Cross-entropy of the age class.

    DEX: Rothe, Timofte and Van Gool, "DEX: Deep EXpectation of apparent age from a single image", ICCV Workshops 2015.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels["age_class"], logits)


def dldl(labels: Labels, logits: tf.Tensor, age_bins: AgeBins, settings: AgeSettings) -> tf.Tensor:
    """Divergence of the distribution from a Gaussian around the age.

    Gao et al., "Deep label distribution learning with label ambiguity", IEEE Transactions on Image Processing 2017.
    """
    target = tf.nn.softmax(-tf.square(age_bins.centres - labels["age"][:, None]) / (2 * settings.sigma**2))
    return tf.reduce_sum(target * (tf.math.log(target + 1e-9) - tf.nn.log_softmax(logits)), axis=1)


def dldl_v2(labels: Labels, logits: tf.Tensor, age_bins: AgeBins, settings: AgeSettings) -> tf.Tensor:
    """As `dldl`, and the distance between the expected value and the age.

    Gao et al., "Age estimation using expectation of label distribution learning", IJCAI 2018.
    """
    expected, _ = _moments(logits, age_bins)
    return dldl(labels, logits, age_bins, settings) + tf.abs(expected - labels["age"])


def mean_variance(labels: Labels, logits: tf.Tensor, age_bins: AgeBins, settings: AgeSettings) -> tf.Tensor:
    """Cross-entropy, half the squared error of the mean, weighted 0.2, and the variance, weighted 0.05.

    Pan et al., "Mean-variance loss for deep age estimation from a face", CVPR 2018.
    """
    mean, variance = _moments(logits, age_bins)
    entropy = cross_entropy(labels, logits, age_bins, settings)
    return entropy + 0.2 * tf.square(mean - labels["age"]) / 2 + 0.05 * variance


def squared_error(labels: Labels, logits: tf.Tensor, age_bins: AgeBins, settings: AgeSettings) -> tf.Tensor:
    """Squared error of the age, or of the expected value of a distribution, years squared."""
    return tf.square(_age(logits, age_bins) - labels["age"])


def absolute_error(labels: Labels, logits: tf.Tensor, age_bins: AgeBins, settings: AgeSettings) -> tf.Tensor:
    """Absolute error of the age, years."""
    return tf.abs(_age(logits, age_bins) - labels["age"])


def ordinal(labels: Labels, logits: tf.Tensor, age_bins: AgeBins, settings: AgeSettings) -> tf.Tensor:
    """Binary cross-entropies of being older than each class but the last.

    OR-CNN: Niu et al., "Ordinal regression with multiple output CNN for age estimation", CVPR 2016. CORAL, where the logits
    share their weights: Cao, Mirjalili and Raschka, "Rank consistent ordinal regression for neural networks with application
    to age estimation", Pattern Recognition Letters 2020.
    """
    older = tf.cast(labels["age_class"][:, None] > tf.range(logits.shape[1]), tf.float32)
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(older, logits), axis=1)


AGE_LOSSES = {
    "cross_entropy": cross_entropy,
    "dldl": dldl,
    "dldl_v2": dldl_v2,
    "mean_variance": mean_variance,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "coral": ordinal,
    "or_cnn": ordinal,
}
BY_CLASS = ("cross_entropy", "coral", "or_cnn")


def _moments(logits: tf.Tensor, age_bins: AgeBins) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of the distribution, [N] each."""
    shares = tf.nn.softmax(logits)
    mean = tf.reduce_sum(shares * age_bins.centres, axis=1)
    return mean, tf.reduce_sum(shares * tf.square(age_bins.centres - mean[:, None]), axis=1)


def _age(logits: tf.Tensor, age_bins: AgeBins) -> tf.Tensor:
    return _moments(logits, age_bins)[0] if len(age_bins.centres) else logits[:, 0]


def _weights(label: tf.Tensor, known: tf.Tensor, by_label: np.ndarray | None) -> tf.Tensor:
    """What every example counts: nothing where its label is unknown, 1 or its label's weight elsewhere."""
    weight = 1.0 if by_label is None else tf.gather(tf.constant(by_label, tf.float32), label)
    return tf.cast(known, tf.float32) * weight


def _mean(loss: tf.Tensor, weights: tf.Tensor, across: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    return tf.math.divide_no_nan(tf.reduce_sum(loss * weights), across(tf.reduce_sum(weights)))
