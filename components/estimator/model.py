"""The estimator as Keras models: one for training, one to keep, and the average of several."""

from collections.abc import Mapping, Sequence

import keras
from keras import KerasTensor, layers

from components.estimator import backbones, heads, pixels
from components.estimator.backbones import stack
from components.estimator.settings import EstimatorSettings


def build(settings: EstimatorSettings) -> keras.Model:
    """The model that is trained: pixels [N, size, size, 3], 0 to 255, to logits by task.

    Raises:
        VisageError: published weights cannot be had, or the size does not suit the backbone or the memory.
    """
    image = keras.Input((settings.size, settings.size, 3), name="image")
    scaled = pixels.values(image, settings.pixels, backbones.scaling(settings.backbone))
    shared = backbones.features(scaled, settings.backbone)
    tasks = ("age",) if settings.gender.head == "none" else ("age", "gender")
    if settings.branch.layers:
        branches = {task: stack.features(shared, settings.branch.layers) for task in tasks}
        trunks = {task: _vector(branch, settings) for task, branch in branches.items()}
    else:
        trunks = dict.fromkeys(tasks, _vector(shared, settings))
    features = {task: _dense(trunk, settings.branch.dense, settings.branch.dropout) for task, trunk in trunks.items()}
    return keras.Model(image, heads.logits(features, settings), name="estimator")


def inference(model: keras.Model, settings: EstimatorSettings) -> keras.Model:
    """The model that is saved: the same weights, probabilities for logits, and the mirror image too where that is asked for."""
    network = keras.Model(model.input, heads.probabilities(model.output, settings), name="estimator")
    if not settings.mirror:
        return network
    network.name = "side"
    image = keras.Input(model.input.shape[1:], name="image")
    return keras.Model(image, _means([network(image), network(keras.ops.flip(image, axis=2))]), name="estimator")


def average(members: Sequence[keras.Model]) -> keras.Model:
    """One model of several, as `inference` makes them: each sees the face for itself, and their outputs are averaged.

    Ages of distributions are averaged class by class, as DEX does it: the average is a distribution too.
    """
    image = keras.Input(members[0].input.shape[1:], name="image")
    member_outputs = [
        keras.Model(member.input, member.output, name=f"member_{number}")(image)
        for number, member in enumerate(members)
    ]
    return keras.Model(image, _means(member_outputs), name="estimator")


def _means(all_outputs: Sequence[Mapping[str, KerasTensor]]) -> dict[str, KerasTensor]:
    return {
        name: layers.Average(name=f"mean_{name}")([outputs[name] for outputs in all_outputs]) for name in all_outputs[0]
    }


def _vector(features: KerasTensor, settings: EstimatorSettings) -> KerasTensor:
    """The trunk: a map to a vector, through the dense layers that the heads share."""
    pool = layers.Flatten if settings.trunk.pooling == "flatten" else layers.GlobalAveragePooling2D
    x = pool()(features)
    if settings.trunk.dense:
        return _dense(x, settings.trunk.dense, settings.trunk.dropout)
    return layers.Dropout(settings.trunk.dropout)(x) if settings.trunk.dropout else x


def _dense(x: KerasTensor, units: tuple[int, ...], dropout: float) -> KerasTensor:
    for width in units:
        x = layers.Dense(width, activation="relu")(x)
        if dropout:
            x = layers.Dropout(dropout)(x)
    return x
