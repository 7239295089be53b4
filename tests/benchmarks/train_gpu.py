"""Speed of training on a GPU: images a second and model FLOP utilisation of a recipe's step, on whatever GPU is found.

    python tests/benchmarks/train_gpu.py [--recipe strong] [--set train.batch_size=256]

The step runs on a batch that is held in memory; weights are not loaded. Utilisation is the arithmetic that the model needs, three
times the forward pass, over what the GPU could do in that time at the precision in use (its data sheet, dense). Where there is no
GPU it says so and ends well.
"""

import argparse
import json
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from components.estimator import heads, model
from components.estimator.settings import ApplicationSettings
from components.train import STEP, devices
from components.train.learner import Learner
from components.train.settings import Settings
from pipeline import recipe

PEAK = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10": 125e12,
    "V100": 125e12,
    "T4": 65e12,
}
"""FLOP/s with 16-bit floats, dense, by the name of the GPU; NVIDIA's data sheets. Longer names stand first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="strong", help="name of a recipe that comes with Visage")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as `visage run` takes it")
    parser.add_argument("--steps", type=int, default=50, help="steps that are timed")
    arguments = parser.parse_args()
    if not tf.config.list_physical_devices("GPU"):
        print("There is no GPU here; nothing measured.")
        print(json.dumps({"gpu": None}))
        return

    asked = ["train.precision=auto", *arguments.set]
    if isinstance(recipe.load(arguments.recipe, asked).settings.estimator.backbone, ApplicationSettings):
        asked.append("estimator.backbone.weights=none")
    settings = recipe.load(arguments.recipe, asked).of(STEP)

    strategy = devices.strategy()
    name = devices.described(strategy)
    rate = images_per_second(settings, strategy, arguments.steps)
    needed = 3 * forward_flops(settings)
    peak = next((flops for gpu, flops in PEAK.items() if gpu in name), None)
    used = rate * needed / (peak * strategy.num_replicas_in_sync) if peak else None
    precision = devices.policy(settings.train.precision)
    print(f"{arguments.recipe} on {name}, {precision}, batch {settings.train.batch_size}: {rate:,.0f} images/s")
    print(
        f"{needed / 1e9:.1f} GFLOP an image, "
        + (f"{used:.1%} of the GPU's peak" if used else "peak of this GPU unknown")
    )
    print(
        json.dumps({"gpu": name, "images_per_second": round(rate, 1), "flops_per_image": needed, "utilisation": used})
    )


def images_per_second(settings: Settings, strategy: tf.distribute.Strategy, steps: int) -> float:
    learner = Learner(settings, heads.age_bins(settings.estimator.age), {}, steps, strategy)
    batch, side = settings.train.batch_size, settings.estimator.size
    share = batch // strategy.num_replicas_in_sync
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (share, side, side, 3), dtype=np.uint8)
    age = rng.integers(0, 101, share).astype(np.float32)
    labels = {"age": age, "age_class": age.astype(np.int32), "female": (age > 50).astype(np.float32)}

    def held(_: tf.distribute.InputContext) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors((images, labels)).cache().repeat().prefetch(2)

    source: Any = iter(strategy.distribute_datasets_from_function(held))
    for _ in range(10):  # traces, compiles, warms up
        learner.step(*next(source))
    learner.wait()
    began = time.perf_counter()
    for _ in range(steps):
        learner.step(*next(source))
    learner.wait()
    return steps * batch / (time.perf_counter() - began)


def forward_flops(settings: Settings) -> float:
    """Of one image; a multiplication and an addition count as two."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    network = model.build(settings.estimator)
    shape = (1, settings.estimator.size, settings.estimator.size, 3)
    traced = tf.function(lambda image: network(image, training=False)).get_concrete_function(
        tf.TensorSpec(shape, tf.float32)
    )
    graph = convert_variables_to_constants_v2(traced).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    counted = tf.compat.v1.profiler.profile(graph, options=options.with_empty_output().build())
    return float(counted.total_float_ops)


if __name__ == "__main__":
    main()
