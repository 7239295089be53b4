"""How good the recipes are on real faces: UTKFace, no pretraining.

    python tests/benchmarks/quality.py                                           the default recipe under protocol A
    python tests/benchmarks/quality.py --recipe utkface_two_branch
    python tests/benchmarks/quality.py --recipe age_class_plain --protocol classes
    python tests/benchmarks/quality.py --protocol b --at-once 2                  five folds, under two hours on two cores
    python tests/benchmarks/quality.py --draw 1                                  protocol A on a draw of its own

Protocol A: 5,000 images drawn by a fixed seed, 4,000 to train and 1,000 to test; another `--draw` has other images to test on
than those by which settings may have been chosen. Protocol B: all images in five folds, each
tested by a model that was trained on the other four; `--at-once 2` trains two of them beside each other, each on a core of its
own, which two cores do sooner than one after the other. Classes: 1,600 images of each class of the recipe, drawn by a fixed seed,
1,280 to train and 320 to test. Always a tenth of the training images is the validation split, by which the best epoch is chosen;
the test images are looked at once, at the end. Of byte-identical files only the first takes part. Images are needed:
utkface_10k.zip in ../shared/data or where VISAGE_SHARED_DATA says.
"""

import argparse
import hashlib
import json
import logging
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields
from itertools import repeat
from multiprocessing import Queue
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from components.estimator import saved
from components.estimator.settings import AgeSettings
from components.photo import PhotoSettings, face_of
from components.step import StepContext, Tracker, log_setup
from components.train import STEP
from components.train.settings import Settings
from pipeline import recipe
from schemas.example import FaceExample, encode
from schemas.record import FEMALE, MALE, MAX_AGE
from schemas.shard import Shard, file_name, write_index, write_records

PROJECT = Path(__file__).resolve().parents[2]
Part = tuple[Sequence[FaceExample], Sequence[FaceExample]]
SHORT = {("utkface_two_branch", "a"): "two_branch"}
DRAWN, A_CLASS, FOLDS, VALIDATED = 5000, 1600, 5, 0.1


@dataclass(frozen=True)
class Quality:
    """Figures on test images, and what the training took; NaN for what the estimator does not tell.

    Attributes:
        mae: mean absolute error of the age, years.
        baseline: the same of always saying the training images' median.
        cs5: share of ages within five years.
        inside: share of ages inside the 90 % interval.
        age_class: share of age classes told right.
        gender: share of genders told right.
        minutes: of training, by the clock.
        cpu_minutes: of training, of all cores together.
    """

    mae: float
    baseline: float
    cs5: float
    inside: float
    age_class: float
    gender: float
    minutes: float
    cpu_minutes: float

    def __str__(self) -> str:
        if np.isnan(self.age_class):
            age = f"MAE {self.mae:.2f} years (constant median {self.baseline:.2f}), within 5 years {self.cs5:.1%}"
            age += f", in the 90 % interval {self.inside:.1%}"
        else:
            age = f"age class {self.age_class:.1%}"
        gender = "" if np.isnan(self.gender) else f", gender {self.gender:.1%}"
        return f"{age}{gender}; trained in {self.minutes:.1f} min ({self.cpu_minutes:.1f} min of all cores)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="default", help="name of a recipe that comes with Visage")
    parser.add_argument("--protocol", choices=["a", "b", "classes"], default="a")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as `visage run` takes it")
    parser.add_argument(
        "--parts",
        type=int,
        nargs="+",
        metavar="N",
        help="of protocol b: these folds only, 1 to 5, for a run of several sittings",
    )
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="train so many parts beside each other")
    parser.add_argument("--draw", type=int, default=0, metavar="SEED", help="of the order in which images are drawn")
    parser.add_argument("--images", type=int, help="take no more than this many images: a quick look")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="of protocols with one part: keep the trained estimator here"
    )
    arguments = parser.parse_args()
    quiet()

    settings = recipe.load(arguments.recipe, arguments.set).of(STEP)
    faces = drawn_faces(archive(), arguments.draw)
    parts = split(faces[: arguments.images], arguments.protocol, settings.estimator.age)
    numbers = arguments.parts or range(1, len(parts) + 1)
    if not set(numbers) <= set(range(1, len(parts) + 1)):
        parser.error(f"--parts: protocol {arguments.protocol} has parts 1 to {len(parts)}")
    if arguments.keep and (len(parts) > 1 or arguments.keep.exists()):
        parser.error(f"--keep {arguments.keep}: one estimator is kept, in a folder that is not there yet")
    measured = []
    chosen = [parts[number - 1] for number in numbers]
    part_qualities = qualities(settings, chosen, arguments.at_once, arguments.keep)
    for number, (train, test), part_quality in zip(numbers, chosen, part_qualities, strict=True):
        measured.append(part_quality)
        part = f", part {number} of {len(parts)}" if len(parts) > 1 else ""
        print(
            f"{arguments.recipe}, protocol {arguments.protocol}{part}, "
            f"{len(train):,} to train, {len(test):,} to test: {measured[-1]}",
            flush=True,
        )
    rows = np.array([astuple(part) for part in measured])
    key = SHORT.get((arguments.recipe, arguments.protocol), f"{arguments.recipe}_{arguments.protocol}")
    figures = {f"{key}_{field.name}": value for field, value in zip(fields(Quality), rows.mean(axis=0), strict=True)}
    if len(measured) > 1:
        figures[f"{key}_mae_std"] = rows[:, 0].std(ddof=1)
        print(
            f"{len(measured)} of {len(parts)} parts: MAE {rows[:, 0].mean():.2f} +- {figures[f'{key}_mae_std']:.2f} years"
        )
    print(json.dumps({name: None if np.isnan(value) else round(float(value), 4) for name, value in figures.items()}))


def quiet() -> None:
    log_setup.set_up()
    logging.getLogger("visage.step").setLevel(logging.WARNING)


def qualities(settings: Settings, parts: Sequence[Part], at_once: int, keep: Path | None = None) -> Iterator[Quality]:
    """Of every part in turn; some parts at once have a process each, which share the cores out among them."""
    cores = sorted(os.sched_getaffinity(0))
    at_once = min(at_once, len(cores))
    if at_once == 1:
        yield from (quality(settings, train, test, keep) for train, test in parts)
        return
    context = multiprocessing.get_context("spawn")
    shares = context.Queue()
    for first in range(at_once):
        shares.put(cores[first::at_once])
    with ProcessPoolExecutor(at_once, context, _has_cores, (shares,)) as pool:
        yield from pool.map(quality, repeat(settings), *zip(*parts, strict=True), repeat(keep))


def _has_cores(shares: Queue) -> None:
    os.sched_setaffinity(0, shares.get())
    quiet()


def split(faces: Sequence[FaceExample], protocol: str, age: AgeSettings) -> list[Part]:
    """Pairs of training and test images, from shuffled ones."""
    if protocol == "b":
        return [
            ([face for other in range(FOLDS) if other != fold for face in faces[other::FOLDS]], faces[fold::FOLDS])
            for fold in range(FOLDS)
        ]
    if protocol == "a":
        drawn = faces[:DRAWN]
    else:
        classes = [
            [face for face in faces if np.digitize(face.age or 0, age.edges) == kind]
            for kind in range(len(age.edges) + 1)
        ]
        each = min(A_CLASS, *map(len, classes))
        drawn = [face for faces_of_a_class in zip(*classes, strict=False) for face in faces_of_a_class][
            : each * len(classes)
        ]
    tested = len(drawn) // 5
    return [(drawn[tested:], drawn[:tested])]


def archive() -> Path:
    folder = Path(os.environ.get("VISAGE_SHARED_DATA", PROJECT.parent / "shared" / "data"))
    path = folder / "utkface_10k.zip"
    if not path.exists():
        print(f"{path} is not there; set VISAGE_SHARED_DATA to the folder that has it. Nothing measured.")
        print(json.dumps({}))
        sys.exit(0)
    return path


def drawn_faces(path: Path, draw: int = 0) -> list[FaceExample]:
    """The faces of an archive in the order in which protocols take them; another draw, another order."""
    faces = read_faces(path)
    random.Random(draw).shuffle(faces)
    return faces


def read_faces(path: Path, photo: PhotoSettings | None = None) -> list[FaceExample]:
    """The faces of an archive whose names are AGE_GENDER_RACE_TIME, gender 0 male and 1 female, in the order of names."""
    faces, seen = [], set()
    with zipfile.ZipFile(path) as zip_file:
        for name in sorted(zip_file.namelist()):
            age, gender = Path(name).name.split("_")[:2]
            data = zip_file.read(name)
            digest = hashlib.sha256(data).hexdigest()
            if digest in seen or int(age) > MAX_AGE:
                continue
            seen.add(digest)
            face = face_of(data, None, photo or PhotoSettings())
            faces.append(
                FaceExample(
                    jpeg=face.jpeg,
                    height=face.height,
                    width=face.width,
                    person=f"utkface:{name}",
                    source="utkface",
                    path=name,
                    sha256=digest,
                    age=int(age),
                    gender={"0": MALE, "1": FEMALE}[gender],
                )
            )
    return faces


def quality(
    settings: Settings, train: Sequence[FaceExample], test: Sequence[FaceExample], keep: Path | None = None
) -> Quality:
    """Train and look at the test images; the estimator is copied to `keep`."""
    with tempfile.TemporaryDirectory() as folder:
        examples, output = Path(folder) / "examples", Path(folder) / "train"
        output.mkdir()
        validated = int(len(train) * VALIDATED)
        write_examples(examples, {"validation": train[:validated], "train": train[validated:]})
        clock, cpu = time.monotonic(), time.process_time()
        STEP.run(settings, StepContext({"ingest": examples}, output, tracker=Quiet()))
        minutes, cpu_minutes = (time.monotonic() - clock) / 60, (time.process_time() - cpu) / 60
        if keep:
            shutil.copytree(output / "estimator", keep)
        predictions = saved.load(output / "estimator").predict_jpegs([face.jpeg for face in test])
    return figures_of(predictions, train, test, settings.estimator.age.edges, minutes, cpu_minutes)


def figures_of(
    predictions: saved.Predictions,
    train: Sequence[FaceExample],
    test: Sequence[FaceExample],
    edges: Sequence[int],
    minutes: float,
    cpu_minutes: float,
) -> Quality:
    """What predictions of the test images come to."""
    ages = np.array([face.age for face in test])
    error = np.abs(predictions.age - ages)
    female = np.array([face.gender == FEMALE for face in test])
    return Quality(
        mae=float(error.mean()),
        baseline=float(np.abs(ages - np.median([face.age for face in train])).mean()),
        cs5=float((error <= 5).mean()),
        inside=float(((predictions.age_low <= ages) & (ages <= predictions.age_high)).mean()),
        age_class=float((predictions.age_class == np.digitize(ages, edges)).mean()) if edges else float("nan"),
        gender=float("nan")
        if np.isnan(predictions.female).any()
        else float(((predictions.female > 0.5) == female).mean()),
        minutes=minutes,
        cpu_minutes=cpu_minutes,
    )


class Quiet(Tracker):
    """Keeps figures to the lines an epoch that training logs."""

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        pass


def write_examples(folder: Path, splits: dict[str, Sequence[FaceExample]]) -> None:
    index = {}
    for split, faces in splits.items():
        name = file_name(split, 0, 1)
        write_records(folder / name, map(encode, faces))
        ages, genders = (dict(Counter(getattr(face, label) for face in faces)) for label in ("age", "gender"))
        index[split] = [Shard(name, len(faces), (folder / name).stat().st_size, ages, {}, genders)]
    write_index(folder, index)


if __name__ == "__main__":
    main()
