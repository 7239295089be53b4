"""Drawn faces as shards: the older, the larger the disc; women on red ground, men on blue."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from schemas.example import FaceExample, encode
from schemas.record import FEMALE, MALE
from schemas.shard import Shard, file_name, write_index, write_records


def drawn(age: int, gender: str, rng: np.random.Generator, side: int = 40) -> bytes:
    ground = (200, 60, 60) if gender == FEMALE else (60, 60, 200)
    picture = Image.new("RGB", (side, side), tuple(int(level + rng.integers(-40, 40)) for level in ground))
    radius = (0.1 + 0.35 * age / 100) * side
    x, y = side / 2 + rng.uniform(-2, 2, 2)
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), (230, 230, 200))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def write_examples(
    folder: Path,
    counts: dict[str, int],
    *,
    known=lambda row: (True, True),
    age_class=None,
    shards: int = 2,
    folds: int = 1,
) -> Path:
    """An examples artifact.

    `known` says of a row whether its age and its gender are known; `age_class` names the class of an age, which then stands
    in the age's place; `folds` take the rows in turn.
    """
    rng = np.random.default_rng(1)
    index: dict[str, list[Shard]] = {}
    for split, count in counts.items():
        index[split] = []
        examples = []
        for row in range(count):
            age, gender = int(rng.integers(0, 101)), (FEMALE, MALE)[int(rng.integers(2))]
            has_age, has_gender = known(row)
            examples.append(
                FaceExample(
                    jpeg=drawn(age, gender, rng),
                    height=40,
                    width=40,
                    person=f"drawn:{split}{row}",
                    source="drawn",
                    path=f"{split}/{row}.jpg",
                    sha256=f"{row:064x}",
                    age=age if has_age and not age_class else None,
                    age_class=age_class(age) if age_class else None,
                    gender=gender if has_gender else None,
                    fold=row % folds,
                )
            )
        for number in range(shards):
            part = examples[number::shards]
            name = file_name(split, number, shards)
            write_records(folder / name, map(encode, part))
            ages = Counter(example.age for example in part if example.age is not None)
            genders = Counter(example.gender for example in part if example.gender is not None)
            classes = Counter(example.age_class for example in part if example.age_class is not None)
            size = (folder / name).stat().st_size
            index[split].append(Shard(name, len(part), size, dict(ages), dict(classes), dict(genders)))
    write_index(folder, index)
    return folder
