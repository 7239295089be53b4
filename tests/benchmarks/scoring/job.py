"""The job that is timed, the model it scores with, and how things are timed beside each other."""

import argparse
import multiprocessing
import os
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

BATCH = 64


def job(few: Path, photos: Path, model: Path, output: Path, workers: int, score: dict[str, Any]) -> float:
    """Rate of the whole step over some photos, once it has gone over a few, which imports what it needs."""
    one_job(few, model, output, workers, score)
    return one_job(photos, model, output, workers, score)


def one_job(photos: Path, model: Path, output: Path, workers: int, score: dict[str, Any]) -> float:
    from components import registry
    from components.registry import ModelVersion
    from components.score import STEP, staged_model
    from components.score.settings import Settings
    from components.step import StepContext

    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    staged_model._FETCHED.clear()
    wanted = {"photos": [str(photos)], "model": "visage/1", "faces": "whole", "precision": "float32", **score}
    settings = Settings.model_validate({"score": wanted, "beam": {"workers": workers}})
    version = ModelVersion("visage", "1")
    with mock.patch.multiple(registry, resolve=lambda _: version, download=lambda _: model):
        started = time.perf_counter()
        counts = STEP.run(settings, StepContext({}, output))
        return counts["photos"] / (time.perf_counter() - started)


def write_model(folder: Path, options: argparse.Namespace) -> Path:
    """A folder with the files of a model: the recipe's estimator untrained, or a trained one."""
    import keras
    import pandas as pd
    import tensorflow_data_validation as tfdv

    from components.estimator import model, saved
    from components.photo import PhotoSettings
    from pipeline.recipe import load as recipe

    (folder / "statistics").mkdir(parents=True)
    if options.estimator:
        shutil.copytree(options.estimator, folder / "estimator")
    else:
        settings = recipe(options.recipe).settings.estimator
        keras.utils.set_random_seed(1)
        saved.save(model.build(settings), settings, folder / "estimator")
    (folder / "photo.json").write_text(PhotoSettings().model_dump_json())
    people = pd.DataFrame({"face/age": list(range(100)), "face/gender": ["female", "male"] * 50})
    statistics_of_training = tfdv.generate_statistics_from_dataframe(people).SerializeToString()
    (folder / "statistics" / "train.pb").write_bytes(statistics_of_training)
    return folder


def load(model: Path, precision: str = "float32") -> Any:
    """The estimator of a model's folder."""
    from components.estimator import saved
    from components.score.staged_model import ready

    return ready(saved.load(model / "estimator"), precision)


def apart(function: Callable[..., float], *arguments: Any, **environment: str) -> Callable[[], float]:
    """A function to be called in a process of its own, for how TensorFlow uses its threads is settled once for a process."""

    def call() -> float:
        alone = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        with mock.patch.dict(os.environ, environment), alone as process:
            return process.submit(function, *arguments).result()

    return call


def in_turn(todo: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median of several rounds in which each is timed once."""
    rates: dict[str, list[float]] = {name: [] for name in todo}
    for _ in range(rounds):
        for name, timed in todo.items():
            rates[name].append(timed())
    return {name: statistics.median(of_rounds) for name, of_rounds in rates.items()}
