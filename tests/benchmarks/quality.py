"""How good the recipes are on real faces: UTKFace, no pretraining.

    python tests/benchmarks/quality.py                          the default recipe under protocol A
    python tests/benchmarks/quality.py --recipe utkface_two_branch
    python tests/benchmarks/quality.py --protocol b             five folds of all images; hours on two cores

Protocol A: 5,000 images drawn by a fixed seed, 4,000 to train and 1,000 to test. Of the 4,000, 400 are the validation split, by
which the best epoch is chosen; the test images are looked at once, at the end. Protocol B: all images in five folds, each tested
by a model that was trained on the other four. Of byte-identical files only the first takes part. Images are needed:
utkface_10k.zip in ../shared/data or where VISAGE_SHARED_DATA says.
"""

import argparse
import hashlib
import json
import logging
import os
import random
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from components import log
from components.estimator import saved
from components.photo import PhotoSettings, face_of
from components.settings import build, load_yaml
from components.step import Job, Tracker
from components.train import STEP
from schemas.example import FaceExample, encode
from schemas.record import FEMALE, MALE, MAX_AGE
from schemas.shard import Shard, file_name, write_index, write_records

PROJECT = Path(__file__).resolve().parents[2]
SEED, DRAWN, TESTED, FOLDS, VALIDATED = 0, 5000, 1000, 5, 0.1


@dataclass(frozen=True)
class Quality:
    """Figures on test images: mean absolute error and share within five years, accuracy of gender, minutes of training."""

    mae: float
    cs5: float
    gender: float
    inside: float
    baseline: float
    minutes: float

    def __str__(self) -> str:
        gender = "" if np.isnan(self.gender) else f"gender {self.gender:.1%}, "
        return (
            f"MAE {self.mae:.2f} years (constant median {self.baseline:.2f}), within 5 years {self.cs5:.1%}, {gender}"
            f"in the 90 % interval {self.inside:.1%}; trained in {self.minutes:.1f} min"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="default", help="name of a recipe that comes with Visage")
    parser.add_argument("--protocol", choices=["a", "b"], default="a")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as `visage run` takes it")
    parser.add_argument("--images", type=int, help="take no more than this many images: a quick look")
    arguments = parser.parse_args()
    log.set_up()
    logging.getLogger("visage.step").setLevel(logging.WARNING)

    faces = read_faces(archive())
    random.Random(SEED).shuffle(faces)
    faces = faces[: arguments.images]
    key = f"{arguments.recipe.removeprefix('utkface_')}_{arguments.protocol}"
    if arguments.protocol == "a":
        drawn = faces[:DRAWN]
        tested = len(drawn) * TESTED // DRAWN
        held = quality(arguments.recipe, arguments.set, drawn[tested:], drawn[:tested])
        print(f"{arguments.recipe}, protocol A, {len(drawn) - tested:,} to train, {tested:,} to test: {held}")
        figures = {f"{key}_mae": held.mae, f"{key}_gender": held.gender, f"{key}_minutes": held.minutes}
    else:
        folds = []
        for number in range(FOLDS):
            rest = [face for other in range(FOLDS) if other != number for face in faces[other::FOLDS]]
            folds.append(quality(arguments.recipe, arguments.set, rest, faces[number::FOLDS]))
            print(f"{arguments.recipe}, protocol B, fold {number + 1} of {FOLDS}: {folds[-1]}", flush=True)
        maes = np.array([fold.mae for fold in folds])
        print(
            f"{arguments.recipe}, protocol B: MAE {maes.mean():.2f} +- {maes.std(ddof=1):.2f} years over {FOLDS} folds"
        )
        genders = float(np.mean([fold.gender for fold in folds]))
        figures = {
            f"{key}_mae": float(maes.mean()),
            f"{key}_mae_std": float(maes.std(ddof=1)),
            f"{key}_gender": genders,
        }
    print(json.dumps({name: None if np.isnan(value) else round(value, 4) for name, value in figures.items()}))


def archive() -> Path:
    folder = Path(os.environ.get("VISAGE_SHARED_DATA", PROJECT.parent / "shared" / "data"))
    path = folder / "utkface_10k.zip"
    if not path.exists():
        print(f"{path} is not there; set VISAGE_SHARED_DATA to the folder that has it. Nothing measured.")
        print(json.dumps({}))
        sys.exit(0)
    return path


def read_faces(path: Path) -> list[FaceExample]:
    """The faces of an archive whose names are AGE_GENDER_RACE_TIME, gender 0 male and 1 female, in the order of names."""
    faces, seen = [], set()
    with zipfile.ZipFile(path) as held:
        for name in sorted(held.namelist()):
            age, gender = Path(name).name.split("_")[:2]
            data = held.read(name)
            digest = hashlib.sha256(data).hexdigest()
            if digest in seen or int(age) > MAX_AGE:
                continue
            seen.add(digest)
            face = face_of(data, None, PhotoSettings())
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
    recipe: str, overrides: Sequence[str], train: Sequence[FaceExample], test: Sequence[FaceExample]
) -> Quality:
    """Train a recipe and look at the test images."""
    path = PROJECT / "pipeline" / "recipes" / f"{recipe}.yaml"
    values = load_yaml(path.read_text(), str(path))
    values = {section: held for section, held in values.items() if section in STEP.settings.model_fields}
    settings = build(STEP.settings, values, overrides)
    with tempfile.TemporaryDirectory() as folder:
        examples, output = Path(folder) / "examples", Path(folder) / "train"
        output.mkdir()
        validated = int(len(train) * VALIDATED)
        write_examples(examples, {"validation": train[:validated], "train": train[validated:]})
        began = time.monotonic()
        STEP.run(settings, Job({"ingest": examples}, output, tracker=Quiet()))
        minutes = (time.monotonic() - began) / 60
        told = saved.load(output / "estimator").predict_jpegs([face.jpeg for face in test])
    ages = np.array([face.age for face in test])
    error = np.abs(told.age - ages)
    right = (told.female > 0.5) == np.array([face.gender == FEMALE for face in test])
    return Quality(
        mae=float(error.mean()),
        cs5=float((error <= 5).mean()),
        gender=float("nan") if np.isnan(told.female).any() else float(right.mean()),
        inside=float(((told.age_low <= ages) & (ages <= told.age_high)).mean()),
        baseline=float(np.abs(ages - np.median([face.age for face in train])).mean()),
        minutes=minutes,
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
