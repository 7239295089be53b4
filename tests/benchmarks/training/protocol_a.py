"""Trains a recipe from scratch for some minutes on faces in memory and looks at the test images once, as protocol A has it."""

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import keras

from components.estimator import heads, model, saved
from components.step import Tracker
from components.train import calibrate, devices
from components.train.learner import Learner
from components.train.settings import Settings
from schemas.example import FaceExample
from tests.benchmarks import quality
from tests.benchmarks.training.in_memory import Drawn, decoded

ROUND_SECONDS = 8.0
"""Between two looks at the validation images: several passes over few images, so that looking is not what takes the time."""

LOOK_SECONDS = 1.5
"""What a look at them takes, with what is written then, about."""


def run(
    settings: Settings, train: Sequence[FaceExample], test: Sequence[FaceExample], rate: float, minutes: float
) -> quality.Quality:
    """Train for about so many minutes, compiling aside, at a rate that was measured, images/s; the schedule ends with them."""
    clock, cpu = time.monotonic(), time.process_time()
    training, age = settings.train, settings.estimator.age
    validated = int(len(train) * quality.VALIDATED)
    learned, held_out = (decoded(part, settings.estimator.size, age) for part in (train[validated:], train[:validated]))
    steps = len(learned) // training.batch_size
    pass_seconds = steps * training.batch_size / rate
    passes = max(1, int(ROUND_SECONDS / pass_seconds))
    rounds = max(1, int(minutes * 60 / (passes * pass_seconds + LOOK_SECONDS)))
    optimizer = training.optimizer.model_copy(update={"warmup_epochs": training.optimizer.warmup_epochs / passes})
    timed = settings.model_copy(
        update={"train": training.model_copy(update={"epochs": rounds, "optimizer": optimizer})}
    )
    print(f"{len(learned):,} to train, {len(held_out):,} to validate: {rounds} rounds of {passes} passes", flush=True)

    strategy = devices.strategy()
    keras.utils.set_random_seed(training.seed)
    age_bins = heads.age_bins(age)
    learner = Learner(timed, age_bins, {}, steps * passes, strategy)
    learner.start(learned.batches(training.batch_size))
    drawn, best, best_round = Drawn(learned, training.batch_size, training.augment, training.seed), float("inf"), 0
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "best.npz"
        for number in range(1, rounds + 1):
            row = learner.epoch(number, drawn.epoch(number, passes), training.batch_size, Tracker())
            row |= learner.validate(held_out.batches(training.batch_size))
            if row["val_loss"] < best:
                best, best_round = row["val_loss"], number
                learner.save_weights(weights)
            names = ("loss", "val_loss", "val_age_mae", "val_gender_accuracy", "images_per_second")
            print(
                f"round {number}: " + ", ".join(f"{name} {row[name]:.4g}" for name in names if name in row), flush=True
            )
            if time.monotonic() - clock > minutes * 60 + SLACK_SECONDS:
                logging.warning("stopped after %d of %d rounds: it took longer than it was to", number, rounds)
                break
        learner.load_weights(weights)
    minutes_taken, cpu_minutes = (time.monotonic() - clock) / 60, (time.process_time() - cpu) / 60
    print(f"the weights of round {best_round} are kept", flush=True)

    network = model.inference(learner.ema_model, settings.estimator)
    calibration = calibrate.fit(calibrate.predict(network, held_out.batches(saved.BATCH)), age_bins)
    metadata = {"settings": settings.estimator.model_dump(mode="json")}
    estimator = saved.Estimator(network, settings.estimator.size, age_bins, metadata, calibration)
    predictions = estimator.predict_squares(decoded(test, settings.estimator.size, age).images)
    return quality.figures_of(predictions, train, test, age.edges, minutes_taken, cpu_minutes)


SLACK_SECONDS = 100.0
"""For compiling, and for a rate that was measured too high: after that training stops where it is."""
