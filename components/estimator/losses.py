"""What training minimises. Every loss gives one value an example; a label that is missing counts nowhere.

Losses of age take the labels, the logits of the age head and its bins. Those of `BY_CLASS` look at the age class, which
examples with a class and no age have too; the others look at the age in years.
"""

from collections.abc import Callable, Mapping

import numpy as np
from keras import ops

from components.estimator.backend import Tensor
from components.estimator.heads import AgeBins
from components.estimator.settings import AgeSettings, EstimatorSettings

Weights = Mapping[str, np.ndarray]
"""What an example counts, by `age_class` and by `female`; absent where all count alike."""

Labels = Mapping[str, Tensor]
"""`age`: years, NaN where unknown; `age_class`: int32, -1 where unknown; `female`: 1 or 0, NaN where unknown; each [N]."""

Objective = Callable[[Labels, Labels], dict[str, Tensor]]
"""The losses by task, of labels and logits."""


def objective(
    settings: EstimatorSettings,
    age_bins: AgeBins,
    weights: Weights | None = None,
    across: Callable[[Tensor], Tensor] = lambda total: total,
) -> Objective:
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

    def losses(labels: Labels, outputs: Labels) -> dict[str, Tensor]:
        unknown = labels["age_class"] < 0 if by_class else ops.isnan(labels["age"])
        # A place-holder for unknown labels, because the gradient of NaN times 0 is NaN.
        filled = {
            "age": ops.where(ops.isnan(labels["age"]), 0.0, labels["age"]),
            "age_class": ops.maximum(labels["age_class"], 0),
        }
        example_weights = _weights(filled["age_class"], ~unknown, weights.get("age_class"))
        by_task = {
            "age": settings.age.weight
            * _mean(age_loss(filled, outputs["age"], age_bins, settings.age), example_weights, across)
        }
        if "gender" in outputs:
            unknown = ops.isnan(labels["female"])
            female = ops.where(unknown, 0.0, labels["female"])
            example_weights = _weights(ops.cast(female, "int32"), ~unknown, weights.get("female"))
            by_task["gender"] = settings.gender.weight * _mean(
                gender_cross_entropy(female, outputs["gender"]), example_weights, across
            )
        return by_task

    return losses


def gender_cross_entropy(female: Tensor, logits: Tensor) -> Tensor:
    """Cross-entropy of one logit [N, 1] or of two [N, 2], male and female."""
    if logits.shape[1] == 1:
        return ops.binary_crossentropy(female, logits[:, 0], from_logits=True)
    return ops.sparse_categorical_crossentropy(ops.cast(female, "int32"), logits, from_logits=True)


def cross_entropy(labels: Labels, logits: Tensor, age_bins: AgeBins, settings: AgeSettings) -> Tensor:
    """Cross-entropy of the age class.

    DEX: Rothe, Timofte and Van Gool, "DEX: Deep EXpectation of apparent age from a single image", ICCV Workshops 2015.
    """
    return ops.sparse_categorical_crossentropy(labels["age_class"], logits, from_logits=True)


def dldl(labels: Labels, logits: Tensor, age_bins: AgeBins, settings: AgeSettings) -> Tensor:
    """Divergence of the distribution from a Gaussian around the age.

    Gao et al., "Deep label distribution learning with label ambiguity", IEEE Transactions on Image Processing 2017.
    """
    target = ops.softmax(-ops.square(age_bins.centres - labels["age"][:, None]) / (2 * settings.sigma**2))
    return ops.sum(target * (ops.log(target + 1e-9) - ops.log_softmax(logits)), axis=1)


def dldl_v2(labels: Labels, logits: Tensor, age_bins: AgeBins, settings: AgeSettings) -> Tensor:
    """As `dldl`, and the distance between the expected value and the age.

    Gao et al., "Age estimation using expectation of label distribution learning", IJCAI 2018.
    """
    expected, _ = _moments(logits, age_bins)
    return dldl(labels, logits, age_bins, settings) + ops.abs(expected - labels["age"])


def mean_variance(labels: Labels, logits: Tensor, age_bins: AgeBins, settings: AgeSettings) -> Tensor:
    """Cross-entropy, half the squared error of the mean, weighted 0.2, and the variance, weighted 0.05.

    Pan et al., "Mean-variance loss for deep age estimation from a face", CVPR 2018.
    """
    mean, variance = _moments(logits, age_bins)
    entropy = cross_entropy(labels, logits, age_bins, settings)
    return entropy + 0.2 * ops.square(mean - labels["age"]) / 2 + 0.05 * variance


def squared_error(labels: Labels, logits: Tensor, age_bins: AgeBins, settings: AgeSettings) -> Tensor:
    """Squared error of the age, or of the expected value of a distribution, years squared."""
    return ops.square(_age(logits, age_bins) - labels["age"])


def absolute_error(labels: Labels, logits: Tensor, age_bins: AgeBins, settings: AgeSettings) -> Tensor:
    """Absolute error of the age, years."""
    return ops.abs(_age(logits, age_bins) - labels["age"])


def ordinal(labels: Labels, logits: Tensor, age_bins: AgeBins, settings: AgeSettings) -> Tensor:
    """Binary cross-entropies of being older than each class but the last.

    OR-CNN: Niu et al., "Ordinal regression with multiple output CNN for age estimation", CVPR 2016. CORAL, where the logits
    share their weights: Cao, Mirjalili and Raschka, "Rank consistent ordinal regression for neural networks with application
    to age estimation", Pattern Recognition Letters 2020.
    """
    older = ops.cast(labels["age_class"][:, None] > np.arange(logits.shape[1], dtype=np.int32), "float32")
    return ops.sum(ops.binary_crossentropy(older, logits, from_logits=True), axis=1)


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


def _moments(logits: Tensor, age_bins: AgeBins) -> tuple[Tensor, Tensor]:
    """Mean and variance of the distribution, [N] each."""
    shares = ops.softmax(logits)
    mean = ops.sum(shares * age_bins.centres, axis=1)
    return mean, ops.sum(shares * ops.square(age_bins.centres - mean[:, None]), axis=1)


def _age(logits: Tensor, age_bins: AgeBins) -> Tensor:
    return _moments(logits, age_bins)[0] if len(age_bins.centres) else logits[:, 0]


def _weights(label: Tensor, known: Tensor, by_label: np.ndarray | None) -> Tensor:
    """What every example counts: nothing where its label is unknown, 1 or its label's weight elsewhere."""
    weight = 1.0 if by_label is None else ops.take(np.asarray(by_label, np.float32), label, axis=0)
    return ops.cast(known, "float32") * weight


def _mean(loss: Tensor, weights: Tensor, across: Callable[[Tensor], Tensor]) -> Tensor:
    return ops.divide_no_nan(ops.sum(loss * weights), across(ops.sum(weights)))
