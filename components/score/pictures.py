"""Scored photos for the summary page: small, with a box and what the model says around every face."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIDE = 320
"""Longer side of a picture on the page, pixels."""

_LONGEST_NAME = 4096
"""Letters: an archive can give a file a longer name than a JPEG's comment can hold."""


@dataclass(frozen=True)
class Picture:
    """A photo to be shown.

    Attributes:
        photo: made small.
        scale: of it to the photo.
        name: of the photo's file.
        boxes: of the faces on the photo, in its own pixels.
        first: index of the first of its faces among all faces of the part.
    """

    photo: Image.Image
    scale: float
    name: str
    boxes: Sequence[tuple[int, int, int, int]]
    first: int

    @classmethod
    def of(cls, photo: Image.Image, name: str, boxes: Sequence[tuple[int, int, int, int]], first: int) -> "Picture":
        """A photo, made small."""
        scale = min(1.0, SIDE / max(photo.size))
        size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
        return cls(photo.resize(size, reducing_gap=2.0), scale, name, boxes, first)

    def drawn(self, predictions: Mapping[str, Any]) -> bytes:
        """The photo with boxes, ages and genders drawn into it, as a JPEG with the file's name as its comment."""
        drawn = self.photo.copy()
        pen = ImageDraw.Draw(drawn)
        font = ImageFont.load_default(13)
        for index, box in enumerate(self.boxes, start=self.first):
            left, top, right, bottom = (edge * self.scale for edge in box)
            pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline="#ffd400", width=2)
            gender = predictions["gender"][index]
            label = f"{predictions['age'][index]:.0f}" + (f" {gender[0]}" if gender else "")
            at = (left + 3, max(top - 17, 1))
            pen.rectangle(pen.textbbox(at, label, font=font), fill="#222222")
            pen.text(at, label, fill="#ffd400", font=font)
        written = io.BytesIO()
        drawn.save(written, "JPEG", quality=85, comment=self.name[:_LONGEST_NAME].encode())
        return written.getvalue()
