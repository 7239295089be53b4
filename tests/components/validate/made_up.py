"""Made-up examples, sound and broken, and shards of them."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.example import FaceExample, decode, encode
from schemas.shard import Shard, write_records

JPEG = b"\xff\xd8\xff\xe0 a picture nobody opens here \xff\xd9"


def face(number: int, **over) -> FaceExample:
    """A sound example; the number makes it what it is."""
    draw = random.Random(number)
    values: dict[str, Any] = {
        "jpeg": JPEG,
        "height": 128,
        "width": 128,
        "person": f"imdb:nm{number % 97}",
        "source": "imdb",
        "path": f"{number % 100:02}/{number}.jpg",
        "sha256": f"{number:064x}",
        "age": draw.randint(5, 85),
        "gender": draw.choice(["female", "male"]),
        "score": draw.uniform(1, 6),
    }
    return FaceExample(**values | over)


def faces(count: int, **over) -> list[FaceExample]:
    return [face(number, **over) for number in range(count)]


def write_shard(folder: Path, name: str, examples: Sequence[FaceExample | bytes]) -> Shard:
    records = [example if isinstance(example, bytes) else encode(example) for example in examples]
    write_records(folder / name, records)
    readable = [example if isinstance(example, FaceExample) else _decoded(example) for example in examples]
    ages = Counter(example.age for example in readable if example and example.age is not None)
    genders = Counter(example.gender for example in readable if example and example.gender)
    return Shard(name, len(records), (folder / name).stat().st_size, dict(ages), {}, dict(genders))


def _decoded(record: bytes) -> FaceExample | None:
    try:
        return decode(record)
    except ValueError:
        return None
