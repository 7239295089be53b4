"""A photo made smaller, to be looked at."""

from PIL import Image


def shrunk(photo: Image.Image, side: int) -> tuple[Image.Image, float]:
    """The photo with no side longer than `side`, and how many of its pixels make one of the smaller one's; never larger."""
    scale = max(1.0, max(photo.size) / side)
    if scale > 1:
        size = max(1, round(photo.width / scale)), max(1, round(photo.height / scale))
        photo = photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
    return photo, scale
