"""The same few steps from the same weights on the same batches, on whatever backend KERAS_BACKEND names.

    python -m tests.components.train.on_backend WORK

Every folder in WORK holds the `settings.json` of a case, and may hold `start.npz`, the weights to begin with, and `theirs`, an
estimator that another backend saved. There are written `losses.json`, the estimator that comes of the steps, `own`, and what both
estimators say of some faces, `own.npy` and `theirs.npy`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from components.estimator import heads, saved
from components.step import Tracker
from components.train import STEP, devices
from components.train.learner import Learner

STEPS, BATCH, SIDE = 6, 16, 16
FIGURES = ("loss", "learning_rate", "val_loss", "val_age_mae")


def settings_of(values: dict[str, Any]) -> Any:
    train = {"epochs": STEPS, "batch_size": BATCH, "average": 0.9, "optimizer": {"warmup_epochs": 2}}
    estimator = {"size": SIDE, "backbone": {"width": 8, "blocks": [1, 1]}, "trunk": {"dropout": 0}}
    both = {"estimator": estimator | values.get("estimator", {}), "train": train | values.get("train", {})}
    return STEP.settings.model_validate(both)


def batch(number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Faces whose labels are partly unknown; in the first batch no gender is known at all."""
    rng = np.random.default_rng(number)
    age, female = rng.integers(0, 101, BATCH).astype(np.float32), rng.integers(0, 2, BATCH).astype(np.float32)
    images = (rng.integers(0, 100, (BATCH, SIDE, SIDE, 3)) + age[:, None, None, None]).astype(np.uint8)
    unknown = np.arange(BATCH) % 5 == 0
    labels = {
        "age": np.where(unknown, np.nan, age).astype(np.float32),
        "age_class": np.where(unknown, -1, age).astype(np.int32),
        "female": np.where((number == 0) | (age < 20), np.nan, female).astype(np.float32),
    }
    return images, labels


def faces() -> np.ndarray:
    return np.concatenate([batch(number)[0] for number in range(100, 107)])[:101]


def weights_of(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(weight) for weight in model.get_weights()]


def learner_of(settings: Any, start: Path) -> Learner:
    """With the weights that a file holds; it is written where it is missing."""
    learner = Learner(settings, heads.age_bins(settings.estimator.age), {}, 1, devices.strategy())
    if not start.exists():
        np.savez(start, *weights_of(learner.model))
    with np.load(start) as weights:
        learner.model.set_weights([weights[name] for name in weights.files])
    learner.start([batch(0)])
    return learner


def losses(settings: Any, work: Path) -> tuple[list[list[float]], Learner]:
    """Figures of every step; half-way another learner goes on from a checkpoint."""
    learner, rows = learner_of(settings, work / "start.npz"), []
    for number in range(STEPS):
        if number == STEPS // 2:
            learner.save(work / "half.npz", [])
            learner = Learner(settings, learner.age_bins, {}, 1, devices.strategy())
            learner.resume(work / "half.npz")
        row = learner.epoch(number + 1, [batch(number)], BATCH, Tracker()) | learner.validate([batch(50), batch(51)])
        rows.append([row[name] for name in FIGURES])
    return rows, learner


def predicted(estimator: Path) -> np.ndarray:
    """Age and gender of some faces."""
    predictions = saved.load(estimator).predict_squares(faces())
    return np.stack([predictions.age, predictions.age_std, predictions.female])


def case(work: Path) -> None:
    settings = settings_of(json.loads((work / "settings.json").read_text()))
    rows, learner = losses(settings, work)
    (work / "losses.json").write_text(json.dumps({"backend": keras.config.backend(), "rows": rows}))
    saved.save(learner.ema_model, settings.estimator, work / "own")
    np.save(work / "own.npy", predicted(work / "own"))
    if (work / "theirs").exists():
        np.save(work / "theirs.npy", predicted(work / "theirs"))


if __name__ == "__main__":
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        case(folder)
