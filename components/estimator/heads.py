"""Heads: from features to logits, which training sees, and from logits to probabilities, which everybody else sees.

Outputs are called `age` and `gender` in training, `age` and `female` in the saved model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from components.estimator.backend import Tensor
from components.estimator.settings import AgeSettings, EstimatorSettings


@dataclass(frozen=True)
class AgeBins:
    """What the age output means.

    Attributes:
        edges: where the age classes begin and end, years, one more than there are classes; empty for a regression.
        centres: the age that each class stands for, years; empty for a regression.
        std: standard deviation of the errors on the validation split, years: all that a regression knows of its doubts;
            else NaN.
    """

    edges: np.ndarray
    centres: np.ndarray
    std: float = float("nan")


def age_bins(settings: AgeSettings, ages: Mapping[int, int] | None = None) -> AgeBins:
    """The age classes of a recipe: a class a year (DEX: Rothe et al., ICCV Workshops 2015), or those between the edges.

    Args:
        settings: of the age head.
        ages: number of training examples by age; a class then stands for the mean age of its examples, else for its middle.
    """
    if settings.head == "regression":
        return AgeBins(np.empty(0, np.float32), np.empty(0, np.float32))
    limits = np.array([settings.lowest, *settings.starts, settings.highest + 1])
    centres = (limits[:-1] + limits[1:] - 1) / 2
    for number, (first, end) in enumerate(pairwise(limits.tolist())):
        class_counts = {age: count for age, count in (ages or {}).items() if first <= age < end}
        if class_counts:
            centres[number] = sum(age * count for age, count in class_counts.items()) / sum(class_counts.values())
    return AgeBins((limits - 0.5).astype(np.float32), centres.astype(np.float32))


def class_of(age: Tensor, settings: AgeSettings) -> Tensor:
    """The class of every age, int32; -1 for NaN. Ages beyond the bins belong to the class at its end. TensorFlow's, for input."""
    import tensorflow as tf

    class_index = tf.reduce_sum(tf.cast(age[..., None] >= tf.constant(settings.starts, tf.float32), tf.int32), axis=-1)
    return tf.where(tf.math.is_nan(age), -1, class_index)


def logits(features: Mapping[str, KerasTensor], settings: EstimatorSettings) -> dict[str, KerasTensor]:
    """What training sees, float32 whatever the precision; `features` are vectors by task.

    `age`: [N, classes] for a distribution, [N, classes - 1] for ordinals, [N, 1] in years for a regression; `gender`: [N, 1]
    for sigmoid, [N, 2] (male, female) for softmax, absent without a gender head.
    """
    classes = len(age_bins(settings.age).centres)
    if settings.age.head == "regression":
        age = _dense(1, "age")(features["age"])
    elif settings.age.head == "distribution":
        age = _dense(classes, "age")(features["age"])
    elif settings.age.loss == "coral":
        age = Thresholds(classes - 1, name="age", dtype="float32")(_dense(1, "rank", bias=False)(features["age"]))
    else:
        age = _dense(classes - 1, "age")(features["age"])
    if settings.gender.head == "none":
        return {"age": age}
    return {"age": age, "gender": _dense(1 if settings.gender.head == "sigmoid" else 2, "gender")(features["gender"])}


def probabilities(outputs: Mapping[str, KerasTensor], settings: EstimatorSettings) -> dict[str, KerasTensor]:
    """What the saved model gives: `age` [N, classes] that sum to 1, or [N, 1] in years for a regression; `female` [N, 1]."""
    age = outputs["age"]
    if settings.age.head == "distribution":
        age = layers.Softmax(name="age_probabilities", dtype="float32")(age)
    elif settings.age.head == "ordinal":
        age = Ranks(name="age_probabilities", dtype="float32")(age)
    if settings.gender.head == "none":
        return {"age": age}
    if settings.gender.head == "sigmoid":
        female = layers.Activation("sigmoid", name="female_probability", dtype="float32")(outputs["gender"])
    else:
        both = layers.Softmax(name="gender_probabilities", dtype="float32")(outputs["gender"])
        female = Last(name="female_probability", dtype="float32")(both)
    return {"age": age, "female": female}


@keras.saving.register_keras_serializable("visage")
class Thresholds(layers.Layer):
    """One rank [N, 1] held against falling thresholds, [N, count]: the shared weights of CORAL."""

    def __init__(self, count: int, **options: object) -> None:
        super().__init__(**options)
        self.count = count

    def build(self, shape: tuple) -> None:
        falling = keras.initializers.Constant(np.linspace(1, 0, self.count, endpoint=False))
        self.bias = self.add_weight(name="bias", shape=(self.count,), initializer=falling)

    def call(self, rank: Tensor) -> Tensor:
        return rank + self.bias

    def get_config(self) -> dict:
        return {**super().get_config(), "count": self.count}


@keras.saving.register_keras_serializable("visage")
class Ranks(layers.Layer):
    """Logits of being older than each class but the last, [N, classes - 1], as probabilities of the classes, [N, classes].

    Neighbours whose probabilities contradict each other (possible with OR-CNN) leave none to the class between them.
    """

    def call(self, older: Tensor) -> Tensor:
        older = ops.sigmoid(older)
        ends = ops.ones_like(older[:, :1])
        shares = ops.maximum(ops.concatenate([ends, older], 1) - ops.concatenate([older, 0 * ends], 1), 0.0)
        return shares / ops.sum(shares, axis=1, keepdims=True)


@keras.saving.register_keras_serializable("visage")
class Last(layers.Layer):
    """The last column, [N, n] to [N, 1]."""

    def call(self, columns: Tensor) -> Tensor:
        return columns[:, -1:]


def _dense(units: int, name: str, bias: bool = True) -> layers.Layer:
    return layers.Dense(units, use_bias=bias, name=name, dtype="float32")
