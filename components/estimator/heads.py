"""Heads: from features to logits, which training sees, and from logits to probabilities, which everybody else sees.

Outputs go by the names `age` and `gender` in training, `age` and `female` in the saved model.
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import KerasTensor, layers

from components.estimator.settings import AgeSettings, EstimatorSettings, GenderSettings


@dataclass(frozen=True)
class Bins:
    """The age classes of a head, in order.

    Attributes:
        edges: where they begin and end, years, one more than there are classes.
        centres: the age that a class stands for, years.
    """

    edges: np.ndarray
    centres: np.ndarray


def bins(settings: AgeSettings) -> Bins:
    """A class a year (DEX: Rothe et al., ICCV Workshops 2015)."""
    centres = np.arange(settings.lowest, settings.highest + 1, dtype=np.float32)
    return Bins(np.append(centres - 0.5, centres[-1] + 0.5).astype(np.float32), centres)


def logits(features: KerasTensor, settings: EstimatorSettings) -> dict[str, KerasTensor]:
    """What training sees: `age` [N, classes] and, with a gender head, `gender` [N, 1]; float32 whatever the precision."""
    outputs = {"age": _dense(len(bins(settings.age).centres), "age")(features)}
    if has_gender(settings.gender):
        outputs["gender"] = _dense(1, "gender")(features)
    return outputs


def probabilities(outputs: dict[str, KerasTensor]) -> dict[str, KerasTensor]:
    """What the saved model gives: `age` [N, classes] that sum to 1 and `female` [N, 1]."""
    held = {"age": layers.Softmax(name="age_probabilities", dtype="float32")(outputs["age"])}
    if "gender" in outputs:
        held["female"] = layers.Activation("sigmoid", name="female_probability", dtype="float32")(outputs["gender"])
    return held


def has_gender(settings: GenderSettings) -> bool:
    """Whether the estimator tells gender."""
    return settings.head != "none"


def _dense(units: int, name: str) -> keras.Layer:
    return layers.Dense(units, name=name, dtype="float32")
