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


def write_shard(folder: Path, name: str, held: Sequence[FaceExample | bytes]) -> Shard:
    records = [one if isinstance(one, bytes) else encode(one) for one in held]
    write_records(folder / name, records)
    known = [one if isinstance(one, FaceExample) else _decoded(one) for one in held]
    ages = Counter(one.age for one in known if one and one.age is not None)
    genders = Counter(one.gender for one in known if one and one.gender)
    return Shard(name, len(records), (folder / name).stat().st_size, dict(ages), {}, dict(genders))


def _decoded(record: bytes) -> FaceExample | None:
    try:
        return decode(record)
    except ValueError:
        return None
