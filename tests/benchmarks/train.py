"""Speed of training: the input pipeline beside Keras's ImageDataGenerator, an epoch beside the bare step.

    python tests/benchmarks/train.py [--examples 4000] [--recipe default]

Both readers get the same faces of 128 pixels as JPEG, with rotation, zoom and flip, in batches of 64; ours reads them from
shards, ImageDataGenerator from a folder. Rates are images a second of one run on one machine; the ratios are what can be
compared.
"""

import argparse
import io
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image

from components.estimator import heads
from components.estimator.settings import EstimatorSettings
from components.step import Tracker
from components.train import STEP, dataset, devices
from components.train.learner import Learner
from components.train.settings import AugmentSettings, Settings, TrainSettings
from pipeline import recipe
from schemas.example import FaceExample, encode
from schemas.record import FEMALE, MALE
from schemas.shard import Shard, file_name, write_index, write_records

SIDE, BATCH = 128, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=4000, help="faces that are made up and read")
    parser.add_argument("--recipe", default="default", help="whose step and epoch are timed")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as `visage run` takes it")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        make_faces(Path(folder), arguments.examples)
        # One after the other and again, so that a change in the machine's load meets all.
        rounds = [
            {
                "input": ours(Path(folder), "never"),
                "input_cached": ours(Path(folder), "always"),
                "image_data_generator": image_data_generator(Path(folder)),
            }
            for _ in range(3)
        ]
        figures = {name: max(figures_of_round[name] for figures_of_round in rounds) for name in rounds[0]}
        figures |= training(Path(folder), recipe.load(arguments.recipe, arguments.set).of(STEP))
    figures["input_ratio"] = figures["input"] / figures["image_data_generator"]
    figures["epoch_ratio"] = figures["epoch"] / figures["bare_step"]
    print(f"{arguments.examples:,} faces of {SIDE} pixels, {os.cpu_count()} cores; images/s")
    print(f"  input pipeline, read and decoded       {figures['input']:8,.0f}")
    print(f"  input pipeline, decoded faces cached   {figures['input_cached']:8,.0f}")
    print(f"  ImageDataGenerator                     {figures['image_data_generator']:8,.0f}")
    print(f"  training step, batch in memory         {figures['bare_step']:8,.0f}   recipe {arguments.recipe}")
    print(f"  training epoch                         {figures['epoch']:8,.0f}")
    print(f"input / ImageDataGenerator {figures['input_ratio']:.1f}, epoch / bare step {figures['epoch_ratio']:.2f}")
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def make_faces(folder: Path, count: int) -> None:
    """The same pictures as shards and as files: smooth noise, which compresses about as photos do."""
    rng = np.random.default_rng(0)
    pictures = folder / "pictures" / "all"
    pictures.mkdir(parents=True)
    examples = []
    for number in range(count):
        noise = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
        (pictures / f"{number}.jpg").write_bytes(buffer.getvalue())
        examples.append(
            FaceExample(
                jpeg=buffer.getvalue(),
                height=SIDE,
                width=SIDE,
                person=f"noise:{number}",
                source="noise",
                path=f"{number}.jpg",
                sha256=f"{number:064x}",
                age=int(rng.integers(101)),
                gender=(FEMALE, MALE)[int(rng.integers(2))],
            )
        )
    shards = []
    for number in range(4):
        part, name = examples[number::4], file_name("train", number, 4)
        write_records(folder / name, map(encode, part))
        ages, genders = (dict(Counter(getattr(example, label) for example in part)) for label in ("age", "gender"))
        shards.append(Shard(name, len(part), (folder / name).stat().st_size, ages, {}, genders))
    write_index(folder, {"train": shards})


def ours(folder: Path, cache: str) -> float:
    moved = AugmentSettings(rotation=10, zoom=0.1, flip=True, shift=0, brightness=0, contrast=0, saturation=0)
    settings = TrainSettings(batch_size=BATCH, augment=moved)
    split = dataset.open_split(folder, "train", EstimatorSettings(size=SIDE), cache)
    for _ in dataset.training_batches(split, settings, 0):  # fills the cache, and the files' own
        pass
    return rate(images for images, _ in dataset.training_batches(split, settings, 1))


def image_data_generator(folder: Path) -> float:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    changes = ImageDataGenerator(rotation_range=10, zoom_range=0.1, horizontal_flip=True)
    batches = changes.flow_from_directory(folder / "pictures", (SIDE, SIDE), batch_size=BATCH, class_mode=None)
    return rate(next(batches) for _ in range(len(batches)))


def rate(batches: Iterable[Any]) -> float:
    """Images a second over all batches."""
    began, seen = time.perf_counter(), 0
    for images in batches:
        seen += len(images)
    return seen / (time.perf_counter() - began)


def training(folder: Path, settings: Settings) -> dict[str, float]:
    train_settings, strategy = settings.train, devices.strategy()
    split = dataset.open_split(folder, "train", settings.estimator, "always")
    steps, quiet = dataset.steps(split, train_settings), Tracker()
    learner = Learner(settings, heads.age_bins(settings.estimator.age), {}, steps, strategy)

    def timed(number: int, batches: Iterable[Any]) -> float:
        return learner.epoch(number, batches, train_settings.batch_size, quiet)["images_per_second"]

    timed(1, dataset.training_batches(split, train_settings, 1))  # traces the step, fills the cache
    batch = next(iter(dataset.training_batches(split, train_settings, 2)))
    bare, epoch = zip(
        *((timed(2, [batch] * steps), timed(3, dataset.training_batches(split, train_settings, 3))) for _ in range(3)),
        strict=True,
    )
    return {"bare_step": max(bare), "epoch": max(epoch)}


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main()
