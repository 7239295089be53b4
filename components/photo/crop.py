"""A face, cut out of its photo as a square."""

import math

from PIL import Image

from components.photo.settings import PhotoRejected, PhotoSettings

Box = tuple[float, float, float, float]
"""A face as (left, top, right, bottom), pixels of the upright photo, right and bottom exclusive."""


def crop_face(photo: Image.Image, box: Box | None, settings: PhotoSettings, angle: float = 0) -> Image.Image:
    """The face with its margin, square, at most `settings.size` a side; pixels beyond the edge repeat the edge.

    Without a box the whole picture is the face, and no margin is added.

    Args:
        photo: upright, as far as it says so.
        box: of the face, as it stands on the photo.
        settings: how faces are taken.
        angle: degrees, clockwise, by which the face stands turned on the photo; it is turned back by as much, around the middle
            of its box.

    Raises:
        PhotoRejected: `photo_too_small`.
    """
    left, top, side = square(photo.size, box, settings)
    size = min(settings.size, max(1, round(side)))
    if size == round(side):
        left, top, side = round(left), round(top), size  # no resizing, so no shift by parts of a pixel either
    return cut(photo, left, top, side, size, angle)


def cut(photo: Image.Image, left: float, top: float, side: float, size: int, angle: float = 0) -> Image.Image:
    """A square of the photo, made `size` pixels, turned back by an angle; what lies beyond the photo's edge repeats the edge."""
    quarters = round(angle / 90)
    lean = angle - 90 * quarters
    face = _cut_leaning(photo, left, top, side, size, lean) if lean else _cut(photo, left, top, side, size)
    turn = _QUARTERS[quarters % 4]
    return face.transpose(turn) if turn is not None else face


_QUARTERS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
"""What turns a face back that stands turned by so many quarters of a circle, clockwise."""


def _cut_leaning(photo: Image.Image, left: float, top: float, side: float, size: int, lean: float) -> Image.Image:
    """The square, turned back by less than a quarter: cut out with what its corners need, at its last size, then turned."""
    around = math.ceil(size * (math.sqrt(2) - 1) / 2) + 1
    beyond = side / size * around
    larger = _cut(photo, left - beyond, top - beyond, side + 2 * beyond, size + 2 * around)
    level = larger.rotate(lean, Image.Resampling.BICUBIC)
    return level.crop((around, around, around + size, around + size))


def _cut(photo: Image.Image, left: float, top: float, side: float, size: int) -> Image.Image:
    scale = size / side
    inner = max(left, 0), max(top, 0), min(left + side, photo.width), min(top + side, photo.height)
    x0, y0, x1, y1 = (round((edge - start) * scale) for edge, start in zip(inner, (left, top, left, top), strict=True))
    x0, y0 = min(x0, size - 1), min(y0, size - 1)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    face = photo.resize((x1 - x0, y1 - y0), Image.Resampling.HAMMING, inner, reducing_gap=3.0)
    if face.size == (size, size):
        return face
    import numpy as np  # not above: whoever only asks for the settings need not wait for it

    edges = ((y0, size - y1), (x0, size - x1), (0, 0))
    return Image.fromarray(np.pad(np.asarray(face), edges, mode="edge"))


def square(size: tuple[int, int], box: Box | None, settings: PhotoSettings) -> tuple[float, float, float]:
    """Left, top and side of the square to be cut out of a photo of this width and height; it may reach beyond the photo.

    Raises:
        PhotoRejected: `photo_too_small`, if less than `settings.min_side` of the box is on the photo.
    """
    width, height = size
    if box is None:
        left, top, right, bottom, margin = 0.0, 0.0, float(width), float(height), 0.0
    else:
        (left, top, right, bottom), margin = box, settings.margin
        if not all(map(math.isfinite, box)):
            raise PhotoRejected("photo_too_small", f"the box {box} encloses nothing")
    visible_side = min(min(right, width) - max(left, 0), min(bottom, height) - max(top, 0))
    if visible_side < settings.min_side:
        detail = f"{max(visible_side, 0):.0f} pixels on the shorter side, {settings.min_side} are needed"
        raise PhotoRejected("photo_too_small", detail)
    side = max(right - left, bottom - top) * (1 + 2 * margin)
    return (left + right - side) / 2, (top + bottom - side) / 2, side
