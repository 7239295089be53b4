"""The artifact of an estimator: a folder that loads without the settings that made it and predicts from JPEG bytes.

- model.keras: architecture and weights; only Keras's own layers and Visage's, read in Keras's safe mode
- estimator.json: input size and what the outputs mean
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.estimator import heads, model, pixels
from components.estimator.classes import AgeClasses
from components.estimator.settings import EstimatorSettings
from schemas.error import VisageError

MODEL = "model.keras"
METADATA = "estimator.json"
FORMAT = 1
BATCH = 64
"""Faces that go through the model at once, at most; what bounds the memory of a prediction."""

NORMAL_95 = 1.6449
"""The 95th percentile of the standard normal distribution."""


@dataclass(frozen=True)
class Predictions:
    """What an estimator says of N faces; arrays [N], float32 but for the class.

    Attributes:
        age: expected value of the age distribution, years.
        age_std: its standard deviation, years.
        age_low: its 5th percentile, years.
        age_high: its 95th percentile, years.
        age_class: number of the likeliest age class, int32, from 0 for the youngest; the expected age can lie in another, as
            that of a face which is a child or a grandparent. -1 where the estimator has no classes, as in a regression.
        female: probability, 0 to 1; NaN where the estimator has no gender head.
    """

    age: np.ndarray
    age_std: np.ndarray
    age_low: np.ndarray
    age_high: np.ndarray
    age_class: np.ndarray
    female: np.ndarray

    def __len__(self) -> int:
        return len(self.age)

    @classmethod
    def joined(cls, parts: Sequence["Predictions"]) -> "Predictions":
        """Several batches as one."""
        years, classes = np.empty(0, np.float32), np.empty(0, np.int32)
        parts = [cls(years, years, years, years, classes, years), *parts]
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def save(
    trained: keras.Model, settings: EstimatorSettings, folder: Path, age_bins: heads.AgeBins | None = None
) -> None:
    """Write a trained model, as `model.build` makes it, as an artifact.

    Args:
        trained: the model.
        settings: it was built with.
        folder: is made, and must not exist.
        age_bins: what the age output means, if that was fitted to data.
    """
    _write(model.inference(trained, settings), settings, folder, age_bins or heads.age_bins(settings.age))


def save_average(
    members: Sequence[keras.Model], settings: EstimatorSettings, folder: Path, age_bins: heads.AgeBins
) -> None:
    """Write the average of several estimators' networks, at least two, as one artifact.

    Args:
        members: the networks of estimators of the same settings.
        settings: of each of them.
        folder: is made, and must not exist.
        age_bins: what the age output means.
    """
    _write(model.average(members), settings, folder, age_bins)


def _write(network: keras.Model, settings: EstimatorSettings, folder: Path, age_bins: heads.AgeBins) -> None:
    folder.mkdir(parents=True)
    network.save(folder / MODEL)
    metadata = {
        "format": FORMAT,
        "size": settings.size,
        "age_edges": age_bins.edges.tolist(),
        "age_centres": age_bins.centres.tolist(),
        "age_deviation": None if np.isnan(age_bins.std) else age_bins.std,
        "settings": settings.model_dump(mode="json"),
    }
    (folder / METADATA).write_text(json.dumps(metadata, indent=1) + "\n")


def load(folder: Path) -> "Estimator":
    """The estimator that a folder holds.

    Raises:
        VisageError: there is none, it is damaged, from a newer Visage, or holds what safe loading refuses.
    """
    try:
        metadata = json.loads((folder / METADATA).read_text())
        if metadata["format"] != FORMAT:
            raise VisageError(
                f"{folder} holds an estimator of format {metadata['format']}; this Visage reads format {FORMAT}.",
                "Use the Visage that wrote it, or train it anew.",
            )
        edges, centres = (np.array(metadata[name], np.float32) for name in ("age_edges", "age_centres"))
        deviation = metadata["age_deviation"]
        age_bins = heads.AgeBins(edges, centres, float("nan") if deviation is None else deviation)
        network = keras.saving.load_model(folder / MODEL, compile=False, safe_mode=True)
        return Estimator(network, metadata["size"], age_bins, metadata)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise VisageError(
            f"{folder} holds no estimator that can be loaded: {error}", "Name the folder of a trained estimator."
        ) from error


class Estimator:
    """A trained estimator, ready to predict; safe to use from several threads.

    Attributes:
        size: side of the square that the model sees, pixels.
        metadata: what estimator.json says: the settings it was trained with are under `settings`.
        network: the Keras model, from pixels [N, size, size, 3], 0 to 255, to what `heads.probabilities` describes.
        age_bins: what its age output means.
        classes: the age classes that it tells; None where it tells years.
    """

    def __init__(self, network: keras.Model, size: int, age_bins: heads.AgeBins, metadata: dict[str, Any]) -> None:
        self.size = size
        self.metadata = metadata
        self.network = network
        self.age_bins = age_bins
        self.classes = AgeClasses.of(metadata)
        # With open batch and picture sizes in the signatures, nothing is traced twice.
        self._decoded = tf.function(
            lambda jpegs: tf.map_fn(
                lambda jpeg: pixels.decode(jpeg, size),
                jpegs,
                fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
                parallel_iterations=32,
            ),
            input_signature=[tf.TensorSpec([None], tf.string)],
        )
        self._resized = tf.function(
            lambda image: pixels.resize(image, size), input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)]
        )
        self._outputs = tf.function(
            lambda batch: network(tf.cast(batch, tf.float32), training=False),
            input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)],
        )

    def predict_jpegs(self, jpegs: Sequence[bytes]) -> Predictions:
        """Age and gender of encoded faces, in their order.

        Raises:
            ValueError: one of them is no picture that can be decoded.
        """
        try:
            return Predictions.joined(
                [self._predict(self._decoded(tf.constant(part, tf.string))) for part in _parts(jpegs)]
            )
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"one of {len(jpegs)} pictures cannot be decoded: {error.message}") from error

    def predict_images(self, images: Sequence[np.ndarray]) -> Predictions:
        """Age and gender of decoded faces, uint8 [height, width, 3] RGB of any sizes, in their order."""
        return Predictions.joined(
            [self._predict(tf.stack([self._resized(image) for image in part])) for part in _parts(images)]
        )

    def predict_squares(self, squares: np.ndarray) -> Predictions:
        """Age and gender of faces that were decoded to the input size already, uint8 [N, size, size, 3]."""
        return Predictions.joined([self._predict(part) for part in _parts(squares)])

    def _predict(self, batch: tf.Tensor) -> Predictions:
        return interpret({name: output.numpy() for name, output in self._outputs(batch).items()}, self.age_bins)


def interpret(outputs: Mapping[str, np.ndarray], age_bins: heads.AgeBins) -> Predictions:
    """What the outputs of a saved model mean.

    Within a class of a distribution, ages count as equally likely; the errors of a regression count as normal.
    """
    if len(age_bins.centres):
        shares = outputs["age"].astype(np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        mean = shares @ age_bins.centres
        spread = (age_bins.centres[None, :] - mean[:, None]) ** 2 + np.diff(age_bins.edges)[None, :] ** 2 / 12
        deviation = np.sqrt((shares * spread).sum(axis=1))
        low, high = (_percentile(shares, age_bins, share) for share in (0.05, 0.95))
        likeliest = np.where(np.isnan(mean), -1, shares.argmax(axis=1))
    else:
        mean = outputs["age"][:, 0]
        likeliest = np.full(len(mean), -1)
        deviation = np.full(len(mean), age_bins.std)
        low, high = mean - NORMAL_95 * deviation, mean + NORMAL_95 * deviation
    female = outputs["female"][:, 0] if "female" in outputs else np.full(len(mean), np.nan)
    mean, deviation, low, high, female = (figure.astype(np.float32) for figure in (mean, deviation, low, high, female))
    return Predictions(mean, deviation, low, high, likeliest.astype(np.int32), female)


def _percentile(shares: np.ndarray, age_bins: heads.AgeBins, share: float) -> np.ndarray:
    above = np.cumsum(shares, axis=1)
    held = np.minimum((above < share).sum(axis=1), shares.shape[1] - 1)
    row = np.arange(len(shares))
    within = (share - (above[row, held] - shares[row, held])) / np.maximum(shares[row, held], 1e-12)
    value = age_bins.edges[held] + np.clip(within, 0, 1) * np.diff(age_bins.edges)[held]
    return np.clip(value, age_bins.edges[0] + 0.5, age_bins.edges[-1] - 0.5)


def _parts(items: Any) -> list[Any]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
