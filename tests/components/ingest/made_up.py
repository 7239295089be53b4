"""A small made-up data set of pictures with labels, and how to ingest it."""

import csv
import io
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.ingest.run import run
from components.ingest.settings import Settings
from components.step import StepContext, Tracker
from components.step.settings import build
from schemas.example import FaceExample, decode
from schemas.reject import Reject, read_rejects
from schemas.shard import read_index, read_records

COLUMNS = ("path", "age", "age_class", "gender", "person", "split", "left", "top", "right", "bottom")


def picture(seed: int, side: int = 48) -> Image.Image:
    """A picture like no other of another seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def stored(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 92} if kind == "JPEG" else {}) | options)
    return buffer.getvalue()


class Archive:
    """A folder of photos with labels.csv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, Any]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, path: str, photo: bytes | None, **labels: Any) -> None:
        """One row and, unless it is None, its photo. Without labels it is a woman of 30 who is on no other photo."""
        self.rows.append({"path": path, "age": 30, "gender": "female", "person": path} | labels)
        if photo is not None:
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(photo)

    def fill(self, count: int, first: int = 0, per_person: int = 3) -> "Archive":
        """Different pictures of persons with a few photos each, at various ages."""
        for number in range(first, first + count):
            self.add(
                f"{number % 7:02d}/{number}.jpg",
                stored(picture(number)),
                age=number % 90,
                gender="female" if number // per_person % 2 else "male",
                person=f"p{number // per_person}",
            )
        return self

    def write(self) -> Path:
        """Write the labels; gives the path to ingest."""
        with (self.folder / "labels.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys([*COLUMNS, *chain.from_iterable(self.rows)])))
            writer.writeheader()
            writer.writerows(self.rows)
        return self.folder / "labels.csv"


class ProgressRecorder(Tracker):
    """Remembers the progress it was told."""

    def __init__(self) -> None:
        self.progressed: list[tuple[int, int | None, str]] = []

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self.progressed.append((done, total, unit))


def ingest(
    source: Path, output: Path, *overrides: str, previous: Path | None = None, tracker: Tracker | None = None
) -> Mapping[str, Any]:
    """Ingest labels.csv or another source; gives the counts."""
    output.mkdir(parents=True)
    base = {
        "source": {"kind": "table", "path": str(source)},
        "photo": {"size": 32},
        "ingest": {"split": {"validation": 0.25, "test": 0.25}},
        "beam": {"workers": 2},
    }
    settings = build(Settings, base, overrides)
    return run(settings, StepContext({}, output, previous, tracker or Tracker()))


def examples(folder: Path) -> dict[str, list[FaceExample]]:
    """All examples of an artifact by split, in the order of the shards."""
    return {
        split: [decode(record) for shard in shards for record in read_records(folder / shard.file)]
        for split, shards in read_index(folder).items()
    }


def all_examples(folder: Path) -> list[FaceExample]:
    return [example for of_split in examples(folder).values() for example in of_split]


def rejects(folder: Path) -> list[Reject]:
    return read_rejects(folder / "rejects.parquet")


def shard_bytes(folder: Path) -> dict[str, bytes]:
    """The bytes of every shard by its name."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.glob("*/*.tfrecord"))}
