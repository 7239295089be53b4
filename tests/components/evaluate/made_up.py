"""Faces that say in their pixels what they are, and estimators that read it: every figure can be worked out by hand.

Red is what the estimator says for the age, 2 levels a year; blue is the probability of a woman.
"""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from components.estimator import heads, saved
from components.estimator.settings import EstimatorSettings
from schemas.artifact import Manifest, publish
from schemas.example import FaceExample, encode
from schemas.shard import Shard, file_name, write_index, write_records

SIDE = 16


def face(
    number: int, says: float, age: int | None = None, female: float = 0.5, gender: str | None = None, **over
) -> FaceExample:
    """A face of which the estimator `says` that age and that probability of a woman; `age` and `gender` are the truth."""
    buffer = io.BytesIO()
    colour = (round(says * 2), 0, round(female * 255))
    Image.new("RGB", (SIDE, SIDE), colour).save(buffer, "JPEG", quality=100, subsampling=0)
    values = {"person": f"made:{number}", "source": "made", "path": f"{number}.jpg", "sha256": f"{number:064x}"}
    return FaceExample(buffer.getvalue(), SIDE, SIDE, age=age, gender=gender, **values | over)


def write_examples(folder: Path, settings: dict[str, Any] | None = None, **splits: Sequence[FaceExample]) -> Path:
    """An ingest artifact of these splits, two shards each, with these settings in its manifest."""
    partial, final = folder / ".ingest", folder / "ingest"
    index: dict[str, list[Shard]] = {}
    for split, examples in splits.items():
        index[split] = []
        for number in range(2):
            part, name = examples[number::2], file_name(split, number, 2)
            write_records(partial / name, map(encode, part))
            ages = Counter(example.age for example in part if example.age is not None)
            classes = Counter(example.age_class for example in part if example.age_class is not None)
            genders = Counter(example.gender for example in part if example.gender is not None)
            size = (partial / name).stat().st_size
            index[split].append(Shard(name, len(part), size, dict(ages), dict(classes), dict(genders)))
    write_index(partial, index)
    publish(partial, final, Manifest("ingest", "made up", settings or {}))
    return final


def write_estimator(folder: Path, *, age_error: float = 0, deviation: float = 2, **settings) -> Path:
    """A train artifact with a Keras estimator that reads the pixels; it says `age_error` years more than they do.

    Its age distribution is a Gaussian: of a class at age c the logit is -(c - said)² / 2 deviation², which is linear in what
    is said but for a term that all classes share.
    """
    chosen = EstimatorSettings.model_validate({"size": SIDE, **settings})
    centres = heads.age_bins(chosen.age).centres
    image = keras.Input((SIDE, SIDE, 3))
    level = keras.layers.GlobalAveragePooling2D()(image)
    age = keras.layers.Dense(len(centres), name="age")
    outputs = {"age": age(level)}
    age.set_weights(
        [
            np.stack([centres / 2, 0 * centres, 0 * centres]) / deviation**2,
            (2 * centres * age_error - centres**2) / (2 * deviation**2),
        ]
    )
    if chosen.gender.head != "none":
        gender = keras.layers.Dense(1, name="gender")
        outputs["gender"] = gender(level)
        gender.set_weights([np.array([[0], [0], [12 / 255]]), np.array([-6])])
    partial, final = folder / ".train", folder / "train"
    saved.save(keras.Model(image, outputs), chosen, partial / "estimator")
    publish(partial, final, Manifest("train", "made up", {}))
    return final
