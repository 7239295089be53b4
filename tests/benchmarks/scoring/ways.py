"""What was tried for speed: the bare model in other precisions, compilers and batches, and with other settings of oneDNN."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.scoring.faces import bare_model, compiled, rate
from tests.benchmarks.scoring.job import BATCH, apart, in_turn, load
from tests.benchmarks.scoring.material import batches_of, face_files

SETTINGS = (
    "TF_ENABLE_ONEDNN_OPTS=0",
    "ONEDNN_DEFAULT_FPMATH_MODE=BF16",
    "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS=1",
    "TF_NUM_INTEROP_THREADS=1",
)
"""Of oneDNN and TensorFlow, which read them when they are imported."""


def figures(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Rates of the bare model by precision, graph, batch size and settings; by how many years the first two move ages.

    A graph is that of Keras's layers, the same with the weights as constants, or compiled by XLA.
    """
    from components.estimator import saved

    exact, data, count = load(model), face_files(), min(options.faces, 2048)
    forwards: dict[str, Callable[[Any], Any]] = {}
    for precision in ("float32", "bfloat16"):
        estimator = load(model, precision)
        forwards[precision] = compiled(estimator.network)
        forwards[f"{precision}_constants"] = estimator._outputs
        forwards[f"{precision}_xla"] = compiled(estimator.network, jit_compile=True)
    batches = batches_of(data, exact.size, BATCH)
    todo = {name: timed(forward, batches, count) for name, forward in forwards.items()}
    for size in (1, 16, 256, 1024):
        todo[f"batch_{size}"] = timed(
            forwards["float32"], batches_of(data, exact.size, size), max(count // 8, 2 * size)
        )
    for precision in ("float32", "bfloat16"):
        for setting in ("", *SETTINGS):
            name, _, value = setting.partition("=")
            environment = {name: value} if name else {}
            todo[f"{precision}_with_{setting or 'no_setting'}"] = apart(
                bare_model, model, count, precision, **environment
            )
    rates = {f"ways_{name}": figure for name, figure in in_turn(todo, options.rounds).items()}
    ages: dict[str, np.ndarray] = {}
    for name, forward in forwards.items():
        outputs_of_batches = [{key: value.numpy() for key, value in forward(batch).items()} for batch in batches]
        ages[name] = np.concatenate([saved.interpret(outputs, exact.age_bins).age for outputs in outputs_of_batches])
    moved = {name: float(np.abs(ages[name] - ages["float32"]).mean()) for name in ages if name != "float32"}
    return rates | {f"years_moved_{name}": figure for name, figure in moved.items()}


def timed(forward: Callable[[Any], Any], batches: list[np.ndarray], count: int) -> Callable[[], float]:
    return lambda: rate(forward, batches, count)
