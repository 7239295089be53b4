"""Faces and photos to be scored."""

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PROJECT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("VISAGE_SHARED_DATA") or PROJECT.parent / "shared" / "data")


def face_files() -> list[bytes]:
    if (SHARED / "utkface_10k.zip").is_file():
        with zipfile.ZipFile(SHARED / "utkface_10k.zip") as zip_file:
            return [zip_file.read(name) for name in zip_file.namelist() if name.endswith(".jpg")]
    return list(drawn(500))


def photo_files() -> list[bytes]:
    if (SHARED / "photos.zip").is_file():
        with zipfile.ZipFile(SHARED / "photos.zip") as zip_file:
            return [zip_file.read(name) for name in zip_file.namelist() if not name.endswith("/")]
    heads = [Image.open(io.BytesIO(head)).convert("RGB").resize((240, 240)) for head in drawn(6)]
    data = []
    for count in range(7):
        photo, file = Image.new("RGB", (1200, 800), (120, 125, 130)), io.BytesIO()
        for place, head in enumerate(heads[:count]):
            photo.paste(head, (60 + 380 * (place % 3), 80 + 380 * (place // 3)))
        photo.save(file, "JPEG", quality=90)
        data.append(file.getvalue())
    return data


def drawn(count: int) -> Iterator[bytes]:
    from pipeline.demo.people import Person
    from pipeline.demo.scene import PORTRAIT, Shot, take

    for number in range(count):
        yield take(Shot(Person(number, 1), 35, 2010, PORTRAIT, (200, 200), (number,)))


def batches_of(data: list[bytes], size: int, batch: int) -> list[np.ndarray]:
    """About a thousand of the faces as batches of the model's input."""
    jpegs = data[: max(1024, batch) // batch * batch] if len(data) >= max(1024, batch) else (data * 3)[:1024]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB").resize((size, size))) for jpeg in jpegs])
    return [pixels[start : start + batch] for start in range(0, len(pixels), batch)]


def write_zip(path: Path, data: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, jpeg in enumerate(data):
            archive.writestr(f"{number:06d}.jpg", jpeg)
    return path
