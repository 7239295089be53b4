"""Drawn faces, and photos with some of them."""

import io
from functools import cache

from PIL import Image

from pipeline.demo.people import Person
from pipeline.demo.scene import PORTRAIT, Shot, take


@cache
def portrait(seed: int = 5, side: int = 240) -> Image.Image:
    """A drawn face."""
    shot = Shot(Person(1, seed), 30, 2020, PORTRAIT, (side, side), (seed,))
    return Image.open(io.BytesIO(take(shot))).convert("RGB")


def group(*places: tuple[int, int], size: tuple[int, int] = (1000, 600)) -> Image.Image:
    """A grey photo with a portrait at every place (its left upper corner)."""
    photo = Image.new("RGB", size, (120, 125, 130))
    for place in places:
        photo.paste(portrait(), place)
    return photo


def jpeg(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=92)
    return file.getvalue()
