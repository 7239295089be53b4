"""Takes the photo: background, light, lens and film, down to the JPEG bytes."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from pipeline.demo.face import draw_head
from pipeline.demo.people import Look, Person

OVERSAMPLING = 2
"""How many times larger than the photo it is drawn, which smooths the edges."""

PORTRAIT, COUPLE, BLURRED, FACELESS = "portrait", "couple", "blurred", "faceless"


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo to take."""

    subject: Person
    age: int  # of the subject, years
    year: int  # when it was taken; old photos are more often grey
    kind: str  # PORTRAIT, COUPLE (a second face at the edge), BLURRED, or FACELESS (nobody's face to be seen)
    size: tuple[int, int]  # width and height, pixels
    seed: tuple[int, ...]  # of everything else about it


def take(shot: Shot) -> bytes:
    """The photo as JPEG bytes; the same shot gives the same bytes."""
    rng = np.random.default_rng(shot.seed)
    picture = _background(shot.size, rng)
    size = np.array(picture.size)
    if shot.kind == COUPLE:
        neighbour = Look(shot.subject, rng.integers(20, 60), rng)
        draw_head(picture, neighbour, size * (rng.choice([0.06, 0.94]), rng.uniform(0.4, 0.6)), 0.2 * size[0], rng)
    look = Look(shot.subject, shot.age, rng)
    scale = 0.27 * size[0] * rng.normal(1, 0.06)
    draw_head(picture, look, size * rng.normal((0.5, 0.49), 0.03), scale, rng, behind=shot.kind == FACELESS)
    picture = picture.reduce(OVERSAMPLING)
    blur = rng.uniform(1.6, 2.6) if shot.kind == BLURRED else min(rng.exponential(0.35), 1.6)
    if blur > 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
    return _develop(_expose(picture, rng), shot.year, rng)


def _background(size: tuple[int, int], rng: Any) -> Image.Image:
    """A wall, a garden, a street: blotches of related colours, out of focus."""
    base = rng.uniform(50, 205) + rng.normal(0, 24, 3)
    blotches = base + rng.normal(0, rng.uniform(4, 32), (6, 6, 1)) + rng.normal(0, rng.uniform(2, 14), (6, 6, 3))
    small = Image.fromarray(np.clip(blotches, 0, 255).astype(np.uint8))
    canvas = (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING)
    return small.resize(size, Image.Resampling.BICUBIC).resize(canvas, Image.Resampling.NEAREST)


def _expose(picture: Image.Image, rng: Any) -> Image.Image:
    """Light from a side, its colour and strength, contrast, and the grain of the film."""
    pixels = np.asarray(picture, np.float32)
    height, width, _ = pixels.shape
    down, across = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
    light = (
        1 + strength * (np.cos(angle) * across + np.sin(angle) * down) - rng.uniform(0, 0.12) * (across**2 + down**2)
    )
    pixels = pixels * (light[..., None] * rng.uniform(0.78, 1.14) * rng.normal(1, 0.05, 3)).astype(np.float32)
    pixels = (pixels - 128) * np.float32(rng.uniform(0.78, 1.12)) + 128
    pixels += np.float32(min(rng.exponential(3), 12)) * rng.standard_normal((height, width, 1), np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _develop(picture: Image.Image, year: int, rng: Any) -> bytes:
    """The JPEG file: grey, colour or CMYK, baseline or progressive, upright or turned with an EXIF note."""
    options: dict[str, Any] = {"quality": int(rng.integers(72, 97)), "progressive": bool(rng.random() < 0.08)}
    if rng.random() < (0.65 if year < 1965 else 0.06):
        picture = picture.convert("L")
    elif rng.random() < 0.02:
        picture = picture.convert("CMYK")
    if rng.random() < 0.02:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6  # to be turned by 90 degrees clockwise
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()
