"""Drawn pictures, and how they come out of `components.photo`."""

import io

import numpy as np
import pytest
from PIL import Image

from components.photo import PhotoRejected, PhotoSettings, crop_face, face_of, open_photo

SETTINGS = PhotoSettings(size=64, min_side=8)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def scene(width: int = 120, height: int = 80) -> Image.Image:
    """A picture without symmetry: smooth colours, and the upper left corner red."""
    y, x = np.mgrid[0:height, 0:width]
    colours = np.stack([255 * x / width, 255 * y / height, 128 + 60 * np.sin(x / 9) * np.cos(y / 7)], axis=-1)
    picture = Image.fromarray(colours.astype(np.uint8))
    picture.paste(RED, (0, 0, width // 4, height // 4))
    return picture


def stored(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        options = {"quality": 95} | options
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the pixels, 0 to 255."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


def reason_of(data: bytes, settings: PhotoSettings = SETTINGS) -> str:
    with pytest.raises(PhotoRejected) as rejected:
        face_of(data, None, settings)
    with pytest.raises(PhotoRejected) as opened:
        crop_face(open_photo(data, settings), None, settings)
    assert opened.value.reason == rejected.value.reason
    return rejected.value.reason
