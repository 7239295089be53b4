"""Decoded faces in the memory of a device: batches are drawn and changed there, without TensorFlow.

The changes are those of `components.train.augment`, which runs in tf.data on processors: the same numbers give the same pictures.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from components.estimator.settings import AgeSettings
from components.train.settings import AugmentSettings
from schemas.example import FaceExample
from schemas.record import FEMALE

Batch = tuple[jax.Array, Mapping[str, jax.Array]]


@dataclass(frozen=True)
class Faces:
    """Faces and their labels.

    Attributes:
        images: uint8 [N, side, side, 3].
        labels: as `components.estimator.losses.Labels` describes them.
    """

    images: np.ndarray
    labels: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, Mapping[str, np.ndarray]]]:
        """Every face once, as it is."""
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            yield self.images[rows], {name: label[rows] for name, label in self.labels.items()}


def decoded(examples: Sequence[FaceExample], side: int, age: AgeSettings) -> Faces:
    """Faces of known age and gender, by Pillow."""

    def square(example: FaceExample) -> np.ndarray:
        picture = Image.open(io.BytesIO(example.jpeg)).convert("RGB")
        return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))

    with ThreadPoolExecutor() as threads:
        images = np.stack(list(threads.map(square, examples)))
    return Faces(images, _labels([face.age for face in examples], [face.gender == FEMALE for face in examples], age))


def made_up(count: int, side: int, age: AgeSettings) -> Faces:
    """Noise: how long a step takes does not depend on what is to be seen."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return Faces(images, _labels(rng.integers(0, 101, count), rng.integers(0, 2, count), age))


def _labels(ages: Sequence[int | None] | np.ndarray, women: Sequence[bool] | np.ndarray, age: AgeSettings) -> dict:
    years = np.asarray(ages, np.float32)
    classes = np.searchsorted(np.asarray(age.starts), years, side="right").astype(np.int32)
    return {"age": years, "age_class": classes, "female": np.asarray(women, np.float32)}


class Drawn:
    """Shuffled and changed batches of faces, which lie in the device's memory."""

    def __init__(self, faces: Faces, batch: int, settings: AugmentSettings, seed: int = 0) -> None:
        self._count, self._size, self._seed = len(faces), batch, seed
        self._held = jax.device_put(faces.images), jax.device_put(dict(faces.labels))

        @jax.jit
        def draw(data: Batch, rows: jax.Array, key: jax.Array) -> Batch:
            images, labels = data
            drawn = jax.random.uniform(key, (11, batch), minval=-1.0, maxval=1.0)
            return augmented(images[rows], drawn, settings), {name: label[rows] for name, label in labels.items()}

        self._draw = draw

    def epoch(self, number: int, passes: int = 1) -> Iterator[Batch]:
        """Every face so many times, less those of the last batch of each pass if it is not whole."""
        rng = np.random.default_rng((self._seed, number))
        keys = jax.random.key(self._seed * 1_000_003 + number)
        for one in range(passes):
            order = rng.permutation(self._count).astype(np.int32)
            for step in range(self._count // self._size):
                rows = order[step * self._size : (step + 1) * self._size]
                yield self._draw(self._held, rows, jax.random.fold_in(keys, one * self._count + step))


def augmented(images: jax.Array, drawn: jax.Array, settings: AugmentSettings) -> jax.Array:
    """A batch uint8 [N, side, side, 3], every face changed as numbers from -1 to 1, [11, N], say."""
    if settings.flip or any((settings.rotation, settings.zoom, settings.shift, settings.shear)):
        images = _moved(images, drawn[:6], settings)
    if any((settings.brightness, settings.contrast, settings.saturation, settings.erase)):
        images = _painted(images, drawn[6:], settings)
    return images


def _moved(images: jax.Array, drawn: jax.Array, settings: AugmentSettings) -> jax.Array:
    """One affine map about the middle, by bilinear samples; beyond the edge the edge repeats."""
    count, side = images.shape[:2]
    mirror = jnp.where(drawn[0] < 0, -1.0, 1.0) if settings.flip else jnp.ones_like(drawn[0])
    angle, shear = drawn[1] * math.radians(settings.rotation), drawn[2] * math.radians(settings.shear)
    scale = 1.0 + drawn[3] * settings.zoom
    a, b = mirror * jnp.cos(angle) * scale, -mirror * jnp.sin(angle + shear) * scale
    d, e = jnp.sin(angle) * scale, jnp.cos(angle + shear) * scale
    middle = (side - 1) / 2
    row, column = jnp.meshgrid(jnp.arange(side) - middle, jnp.arange(side) - middle, indexing="ij")

    def places(across: jax.Array, down: jax.Array, shift: jax.Array) -> jax.Array:
        across, down, shift = (value[:, None, None] for value in (across, down, shift * settings.shift * side))
        return jnp.clip(across * column + down * row + shift + middle, 0.0, side - 1.001)

    x, y = places(a, b, drawn[4]), places(d, e, drawn[5])
    left, top = jnp.floor(x), jnp.floor(y)
    across, down = (x - left)[..., None], (y - top)[..., None]
    first = (top * side + left).astype("int32")
    pixels, face = images.reshape(count, side * side, 3), jnp.arange(count)[:, None, None]
    near = [pixels[face, first + step].astype("float32") for step in (0, 1, side, side + 1)]
    upper, lower = near[0] + (near[1] - near[0]) * across, near[2] + (near[3] - near[2]) * across
    return (upper + (lower - upper) * down + 0.5).astype("uint8")


def _painted(images: jax.Array, drawn: jax.Array, settings: AugmentSettings) -> jax.Array:
    """Saturation about the grey of a pixel, contrast about the grey of a face, brightness; a grey square."""
    changed = images.astype("float32")
    level = changed.mean(axis=(1, 2, 3), keepdims=True)
    saturation, contrast, brightness = drawn[:3, :, None, None, None]
    grey = changed.mean(axis=3, keepdims=True)
    changed = grey + (changed - grey) * (1 + saturation * settings.saturation)
    changed = level + (changed - level) * (1 + contrast * settings.contrast)
    changed += 255 * brightness * settings.brightness
    if settings.erase:
        side = images.shape[1]
        corner = (drawn[3:, :, None] + 1) / 2 * (1 - settings.erase) * side
        beyond = jnp.arange(side) - corner
        rows, columns = (beyond >= 0) & (beyond < settings.erase * side)
        changed = jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], 127.0, changed)
    return jnp.clip(changed + 0.5, 0.0, 255.0).astype("uint8")
