"""The stored form of a face."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from components.photo import jpeg
from components.photo.crop import Box, crop_face, square
from components.photo.decode import decoded, opened
from components.photo.orient import turn_of
from components.photo.settings import PhotoSettings
from components.photo.standing import angle_of


@dataclass(frozen=True, slots=True)
class Face:
    """A face ready to be stored.

    Attributes:
        jpeg: the bytes of an upright, square RGB picture.
        height: pixels.
        width: pixels.
        pixels: SHA-256 of the RGB pixels that went into the JPEG; the same for the same picture however it was stored.
    """

    jpeg: bytes
    height: int
    width: int
    pixels: bytes


def face_of(data: bytes, box: Box | None, settings: PhotoSettings) -> Face:
    """The stored form of a face.

    A JPEG that has this form already (whole picture, square, upright, RGB, baseline or progressive, not too large) keeps its
    compressed pixels: it is decoded to see that it is whole, and only comments and camera data are taken out.

    Raises:
        PhotoRejected: as `open_photo` and `crop_face`.
        VisageError: the settings want faces turned, and the detector's weights are not what they should be.
    """
    photo = opened(data, settings)
    stored = _stored_form(photo, data, box, settings)
    if stored is None and box is None:
        _decode_smaller(photo, settings)
    face = decoded(photo, data)
    square(face.size, box, settings)
    angle = angle_of(face, box, settings)
    if stored is None or angle:
        face = crop_face(face, box, settings, angle)
        buffer = io.BytesIO()
        face.save(buffer, "JPEG", quality=settings.quality)
        stored = buffer.getvalue()
    return Face(stored, face.height, face.width, hashlib.sha256(face.tobytes()).digest())


def _decode_smaller(photo: Image.Image, settings: PhotoSettings) -> None:
    """Let a large JPEG be decoded at a half, quarter or eighth, where that costs neither quality nor a rejection.

    At least twice the final size is left for the filter, which then has the last word on every pixel.
    """
    width, height = photo.size
    if photo.format in jpeg.FORMATS:
        longest = 2 * settings.size
        shortest = min(width, height) * longest // max(width, height)
        if shortest >= settings.min_side:
            photo.draft(None, (longest * width // max(width, height), longest * height // max(width, height)))


def _stored_form(photo: Image.Image, data: bytes, box: Box | None, settings: PhotoSettings) -> bytes | None:
    """The JPEG without comments and camera data, if its pixels can be stored as they are; else None."""
    fits = box is None and photo.width == photo.height <= settings.size
    if not fits or photo.format not in jpeg.FORMATS or photo.mode != "RGB" or turn_of(photo) is not None:
        return None
    pieces = [b"\xff\xd8"]
    for marker, start, end in jpeg.segments(data):
        if marker in _OTHER_FRAMES:
            return None
        if marker == jpeg.SCAN:
            return b"".join((*pieces, data[start : jpeg.end_of_picture(data, start)]))
        if marker not in _DESCRIPTIONS:
            pieces.append(data[start:end])
    return None


_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
"""JPEG processes that not every reader knows: lossless, hierarchical, arithmetic (ITU-T T.81, table B.1)."""
_DESCRIPTIONS = {0xFE, *range(0xE1, 0xEE), 0xEF}
"""Comments and application data; not JFIF's 0xE0 and Adobe's 0xEE, which say how colours are meant."""
