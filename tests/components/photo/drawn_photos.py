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


def grainy(width: int = 400, height: int = 300) -> Image.Image:
    """A picture with as much detail as a photo has."""
    grain = np.random.default_rng(width).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.blend(scene(width, height), Image.fromarray(grain).resize((width, height)), 0.5)


def jpegs_of_every_kind() -> dict[str, bytes]:
    """One picture as every kind of JPEG that cameras, phones and programs write, by what it is called."""
    picture = grainy()
    return {
        "baseline": stored(picture),
        "4:4:4": stored(picture, subsampling=0),
        "4:1:1": stored(picture, subsampling="4:1:1"),
        "optimized": stored(picture, optimize=True),
        "grey": stored(picture.convert("L")),
        "restart markers": stored(picture, restart_marker_rows=1),
        "progressive": stored(picture, progressive=True),
        "CMYK": stored(picture.convert("CMYK")),
        "MPO": stored(picture, "MPO", save_all=True, append_images=[picture.reduce(2)]),
        "a JPEG behind the end": stored(picture) + stored(picture.reduce(2)),
        "bytes behind the end": stored(picture) + b"SEFT" + bytes(range(256)) + b"\xff\xd9\0\0",
    }


def heic(picture: Image.Image, exif: Image.Exif | None = None) -> bytes:
    """A picture as HEIC, turned as its camera data says."""
    import pillow_heif

    buffer = io.BytesIO()
    photo = pillow_heif.from_pillow(picture)
    if exif is not None:
        photo.info["exif"] = exif.tobytes()
    photo.save(buffer, quality=90)
    return buffer.getvalue()


def detail_of(data: bytes) -> str:
    """What is said of a photo that cannot be read."""
    with pytest.raises(PhotoRejected) as rejected:
        open_photo(data, SETTINGS)
    assert rejected.value.reason == "photo_unreadable"
    return rejected.value.detail
