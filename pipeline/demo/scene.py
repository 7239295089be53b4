"""Takes the photo: background, pose, light, lens and film, down to the JPEG bytes."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from pipeline.demo.easel import Pose
from pipeline.demo.face import draw_back_of_head, draw_head
from pipeline.demo.look import look_of, mix
from pipeline.demo.people import Person

CANVAS = 320
"""Pixels a side while drawing; the finished photo is made smaller, which smooths the edges."""

PORTRAIT = "portrait"
COUPLE = "couple"
BLURRED = "blurred"
FACELESS = "faceless"


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo to take.

    Attributes:
        subject: who is on it.
        age: of the subject, years.
        year: when it was taken; old photos are more often grey.
        kind: PORTRAIT, COUPLE (a second face at the edge), BLURRED, or FACELESS (nobody's face to be seen).
        width, height: pixels.
        seed: of everything else about it.
    """

    subject: Person
    age: int
    year: int
    kind: str
    width: int
    height: int
    seed: tuple[int, ...]


def take(shot: Shot) -> bytes:
    """The photo as JPEG bytes; the same shot gives the same bytes."""
    rng = np.random.default_rng(shot.seed)
    picture = _background(rng)
    if shot.kind == FACELESS:
        _no_face(picture, shot, rng)
    else:
        if shot.kind == COUPLE:
            side = rng.choice([-1, 1])
            other = Pose(
                CANVAS * (0.5 + 0.44 * side), CANVAS * rng.uniform(0.4, 0.6), 62, rng.normal(0, 0.1), -0.2 * side
            )
            draw_head(picture, look_of(shot.subject, float(rng.integers(20, 60)), rng), other, rng)
        draw_head(picture, look_of(shot.subject, shot.age, rng), _pose(rng), rng)
    picture = picture.resize((shot.width, shot.height), Image.Resampling.BOX)
    blur = rng.uniform(1.6, 2.6) if shot.kind == BLURRED else rng.exponential(0.35)
    if blur > 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(min(blur, 2.6)))
    return _develop(_expose(picture, rng), shot.year, rng)


def _pose(rng: Any) -> Pose:
    return Pose(
        x=CANVAS * (0.5 + rng.normal(0, 0.03)),
        y=CANVAS * (0.49 + rng.normal(0, 0.025)),
        scale=CANVAS * 0.27 * float(np.clip(rng.normal(1, 0.07), 0.8, 1.2)),
        roll=float(np.clip(rng.normal(0, 0.11), -0.35, 0.35)),
        yaw=float(np.clip(rng.normal(0, 0.14), -0.35, 0.35)),
        pitch=float(np.clip(rng.normal(0, 0.07), -0.18, 0.18)),
    )


def _background(rng: Any) -> Image.Image:
    """A wall, a garden, a street: blotches of related colours, out of focus."""
    base = rng.uniform(50, 205) + rng.normal(0, 24, 3)
    blotches = base + rng.normal(0, rng.uniform(4, 32), (6, 6, 1)) + rng.normal(0, rng.uniform(2, 14), (6, 6, 3))
    blotches = np.clip(blotches, 0, 255)
    picture = Image.fromarray(blotches.astype(np.uint8)).resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(int(rng.integers(0, 7))):
        x, y, size = rng.uniform(0, CANVAS), rng.uniform(0, CANVAS), rng.uniform(10, 60)
        colour = (*(int(value) for value in np.clip(base + rng.uniform(-60, 90) + rng.normal(0, 15, 3), 0, 255)), 80)
        if rng.random() < 0.6:
            draw.ellipse((x - size, y - size, x + size, y + size), fill=colour)
        else:
            draw.rectangle((x - size, 0, x + size / 2, CANVAS), fill=colour)
    return picture


def _no_face(picture: Image.Image, shot: Shot, rng: Any) -> None:
    """What a face detector finds nothing on: somebody from behind, a landscape, a page of print."""
    draw = ImageDraw.Draw(picture)
    kind = rng.random()
    if kind < 0.4:
        draw_back_of_head(picture, look_of(shot.subject, shot.age, rng), _pose(rng), rng)
    elif kind < 0.75:
        x, y = rng.uniform(40, CANVAS - 40), rng.uniform(40, 110)
        draw.ellipse((x - 26, y - 26, x + 26, y + 26), fill=(255, 236, 170))
        for depth in range(3):
            across = np.linspace(0, CANVAS, 30)
            ridge = 130 + 55 * depth + 26 * np.sin(across / rng.uniform(25, 70) + rng.uniform(0, 6))
            fill = mix((150, 170, 176), (52, 92, 48), depth / 2)
            draw.polygon([(0, CANVAS), *zip(across, ridge, strict=True), (CANVAS, CANVAS)], fill=fill)
    else:
        draw.rectangle((50, 20, 270, 300), fill=(238, 232, 216))
        for y in range(50, 280, 14):
            draw.line((70, y, 70 + rng.uniform(90, 180), y), fill=(60, 56, 54), width=4)


def _expose(picture: Image.Image, rng: Any) -> np.ndarray:
    """Light from a side, its colour and strength, contrast, and the grain of the film. Float array [H, W, 3], 0 to 255."""
    pixels = np.asarray(picture, np.float32)
    height, width = pixels.shape[:2]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    angle = rng.uniform(0, 2 * np.pi)
    side = np.float32(rng.uniform(0, 0.3))
    light = 1 + side * (np.float32(np.cos(angle)) * across + np.float32(np.sin(angle)) * down)
    light -= np.float32(rng.uniform(0, 0.12)) * (across**2 + down**2)
    strength, contrast = rng.uniform(0.78, 1.14), np.float32(rng.uniform(0.78, 1.12))
    pixels = pixels * light * (strength * rng.normal(1, 0.05, 3)).astype(np.float32)
    pixels = (pixels - 128) * contrast + 128
    grain = np.float32(min(rng.exponential(3), 12))
    noise = rng.standard_normal((height, width, 1), np.float32) + 0.4 * rng.standard_normal(pixels.shape, np.float32)
    return pixels + grain * noise


def _develop(pixels: np.ndarray, year: int, rng: Any) -> bytes:
    """The JPEG file: grey, colour or CMYK, baseline or progressive, upright or turned with an EXIF note."""
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    options: dict[str, Any] = {"quality": int(rng.integers(72, 97))}
    if rng.random() < (0.65 if year < 1965 else 0.06):
        picture = picture.convert("L")
        if year < 1955 and rng.random() < 0.4:
            picture = ImageOps.colorize(picture, (38, 24, 16), (250, 240, 214))
    elif rng.random() < 0.02:
        picture = picture.convert("CMYK")
    if rng.random() < 0.08:
        options["progressive"] = True
    if rng.random() < 0.02:
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise
        options["exif"] = exif
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()
