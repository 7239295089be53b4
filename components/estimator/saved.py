"""The artifact of an estimator: a folder that loads without the settings that made it and predicts from JPEG bytes.

- model.keras: architecture and weights; only Keras's own layers and Visage's, read in Keras's safe mode
- estimator.json: input size, what the outputs mean, and what they are corrected by
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from components.estimator import backend, heads, model, pixels
from components.estimator.calibration import Calibration
from components.estimator.classes import AgeClasses
from components.estimator.distribution import AgeDistribution
from components.estimator.settings import EstimatorSettings
from schemas.error import VisageError

MODEL = "model.keras"
METADATA = "estimator.json"
FORMAT = 2
"""The newest format: 2 is of estimators with a calibration, 1 of those without."""

BATCH = 64
"""Faces that go through the model at once, at most; what bounds the memory of a prediction."""

Outputs = Mapping[str, np.ndarray]
"""What a saved model gives of N faces, see `heads.probabilities`."""


@dataclass(frozen=True)
class Predictions:
    """What an estimator says of N faces; arrays [N], float32 but for the class.

    Attributes:
        age: expected value of the age distribution, years.
        age_std: its standard deviation, years.
        age_low: lower end of the 90 % interval, years: the distribution's 5th percentile, unless a calibration says more.
        age_high: upper end, likewise.
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
        "format": 1,
        "size": settings.size,
        "age_edges": age_bins.edges.tolist(),
        "age_centres": age_bins.centres.tolist(),
        "age_deviation": None if np.isnan(age_bins.std) else age_bins.std,
        "settings": settings.model_dump(mode="json"),
    }
    (folder / METADATA).write_text(json.dumps(metadata, indent=1) + "\n")


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Keep a calibration with the saved estimator that a folder holds, in the place of any that it has."""
    metadata = json.loads((folder / METADATA).read_text())
    metadata |= {"format": 2, "calibration": calibration.as_json()}
    partial = folder / f".{METADATA}.partial"
    partial.write_text(json.dumps(metadata, indent=1) + "\n")
    partial.replace(folder / METADATA)


def load(folder: Path) -> "Estimator":
    """The estimator that a folder holds.

    Raises:
        VisageError: there is none, it is damaged, from a newer Visage, or holds what safe loading refuses.
    """
    try:
        metadata = json.loads((folder / METADATA).read_text())
        if metadata["format"] not in (1, FORMAT):
            raise VisageError(
                f"{folder} holds an estimator of format {metadata['format']}; this Visage reads formats 1 and {FORMAT}.",
                "Use the Visage that wrote it, or train it anew.",
            )
        edges, centres = (np.array(metadata[name], np.float32) for name in ("age_edges", "age_centres"))
        deviation = metadata["age_deviation"]
        age_bins = heads.AgeBins(edges, centres, float("nan") if deviation is None else deviation)
        network = keras.saving.load_model(folder / MODEL, compile=False, safe_mode=True)
        calibration = Calibration.of_json(metadata.get("calibration"))
        return Estimator(network, metadata["size"], age_bins, metadata, calibration)
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
        calibration: what its outputs are corrected by.
        classes: the age classes that it tells; None where it tells years.
    """

    def __init__(
        self,
        network: keras.Model,
        size: int,
        age_bins: heads.AgeBins,
        metadata: dict[str, Any],
        calibration: Calibration | None = None,
    ) -> None:
        self.size = size
        self.metadata = metadata
        self.network = network
        self.age_bins = age_bins
        self.calibration = calibration or Calibration()
        self.classes = AgeClasses.of(metadata)
        self._outputs = backend.forward(network)

    def predict_jpegs(self, jpegs: Sequence[bytes]) -> Predictions:
        """Age and gender of encoded faces, in their order.

        Raises:
            ValueError: one of them is no picture that can be decoded.
        """
        return Predictions.joined([self.interpret(outputs) for outputs in self._outputs_of_jpegs(jpegs)])

    def outputs_of_jpegs(self, jpegs: Sequence[bytes]) -> Outputs:
        """What the network says of encoded faces, at least one, at the calibration's temperatures.

        `interpret` and `distribution` say what it means.

        Raises:
            ValueError: one of them is no picture that can be decoded.
        """
        parts = self._outputs_of_jpegs(jpegs)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def predict_images(self, images: Sequence[np.ndarray]) -> Predictions:
        """Age and gender of decoded faces, uint8 [height, width, 3] RGB of any sizes, in their order."""
        return Predictions.joined(
            [self._predict(np.stack([self._resized(image).numpy() for image in part])) for part in _parts(images)]
        )

    def predict_squares(self, squares: np.ndarray) -> Predictions:
        """Age and gender of faces that were decoded to the input size already, uint8 [N, size, size, 3]."""
        return Predictions.joined([self._predict(part) for part in _parts(squares)])

    def squares_of_jpegs(self, jpegs: Sequence[bytes]) -> list[np.ndarray]:
        """Encoded faces as the network sees them, uint8 [n, size, size, 3], in parts.

        Raises:
            ValueError: one of them is no picture that can be decoded.
        """
        import tensorflow as tf

        try:
            return [self._decoded(tf.constant(part, tf.string)).numpy() for part in _parts(jpegs)]
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"one of {len(jpegs)} pictures cannot be decoded: {error.message}") from error

    def interpret(self, outputs: Outputs) -> Predictions:
        """What such outputs mean."""
        return interpret(outputs, self.age_bins, self.calibration)

    def distribution(self, outputs: Outputs) -> AgeDistribution:
        """The age distributions of such outputs."""
        return AgeDistribution.of(outputs["age"], self.age_bins)

    def _outputs_of_jpegs(self, jpegs: Sequence[bytes]) -> list[Outputs]:
        return [self._calibrated_outputs(squares) for squares in self.squares_of_jpegs(jpegs)]

    def _predict(self, batch: np.ndarray) -> Predictions:
        return self.interpret(self._calibrated_outputs(batch))

    def _calibrated_outputs(self, batch: np.ndarray) -> Outputs:
        outputs = {name: ops.convert_to_numpy(output) for name, output in self._outputs(batch).items()}
        return self.calibration.probabilities(outputs)

    # TensorFlow decodes and resizes, whatever computes. With open batch and picture sizes, nothing is traced twice.

    @cached_property
    def _decoded(self) -> Any:
        import tensorflow as tf

        backend.leave_gpus_to_jax()
        size = self.size
        return tf.function(
            lambda jpegs: tf.map_fn(
                lambda jpeg: pixels.decode(jpeg, size),
                jpegs,
                fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
                parallel_iterations=32,
            ),
            input_signature=[tf.TensorSpec([None], tf.string)],
        )

    @cached_property
    def _resized(self) -> Any:
        import tensorflow as tf

        backend.leave_gpus_to_jax()
        size = self.size
        return tf.function(
            lambda image: pixels.resize(image, size), input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)]
        )


def interpret(outputs: Outputs, age_bins: heads.AgeBins, calibration: Calibration | None = None) -> Predictions:
    """What the outputs of a saved model mean.

    Args:
        outputs: at the calibration's temperatures already.
        age_bins: what the age output means.
        calibration: that makes the 90 % interval; None takes that of the distribution.
    """
    distribution = AgeDistribution.of(outputs["age"], age_bins)
    mean, std = distribution.mean, distribution.std
    if calibration and calibration.limits:
        low, high = calibration.limits.interval(mean, std)
    else:
        low, high = distribution.percentile(0.05), distribution.percentile(0.95)
    likeliest = np.full(len(mean), -1)
    if len(age_bins.centres):
        likeliest = np.where(np.isnan(mean), -1, distribution.shares.argmax(axis=1))
    female = outputs["female"][:, 0] if "female" in outputs else np.full(len(mean), np.nan)
    mean, std, low, high, female = (figure.astype(np.float32) for figure in (mean, std, low, high, female))
    return Predictions(mean, std, low, high, likeliest.astype(np.int32), female)


def _parts(items: Any) -> list[Any]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
