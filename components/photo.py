"""From a stored photo to a face: open, turn upright, crop, encode. Ingest and score use it, and nothing else does this.

Every choice that changes pixels is made here, once:

- transparency lies on white, as a viewer shows it;
- 16-bit grey keeps its upper eight bits; CMYK is turned by its inks alone, colour profiles are not applied;
- of an animation the first picture counts;
- a face is the square around the centre of its box, or around the centre of the whole picture; what lies beyond the
  photo's edge repeats the edge, so nothing is squeezed and nothing of a face cut off;
- faces are made smaller with Pillow's Hamming filter (as good as bicubic at that by Pillow's own comparison, and half
  again as fast: https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters-comparison-table), never larger.
"""

import hashlib
import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from PIL import ExifTags, Image, ImageChops, UnidentifiedImageError
from pydantic import Field

from components.step.settings import Section

Box = tuple[float, float, float, float]
"""A face as (left, top, right, bottom), pixels of the upright photo, right and bottom exclusive."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""What counts as a photo. Pillow reads more, some of it by starting other programs; none of that is needed here."""

# `max_pixels` decides before a picture is decoded, and broken camera data are passed over: nobody need be warned.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)


class PhotoSettings(Section):
    """How faces are taken from photos."""

    size: int = Field(
        128, ge=16, le=1024, description="largest side of a stored face, pixels; smaller ones are not blown up"
    )
    margin: float = Field(
        0.4, ge=0, le=2, description="added to each side of a face's box, as a share of the box; 0.4 is DEX's"
    )
    min_side: int = Field(20, ge=1, description="a face with a shorter side, before resizing, is rejected")
    max_pixels: int = Field(
        100_000_000, ge=1, le=150_000_000, description="a photo with more pixels is rejected before it is decoded"
    )
    max_bytes: int = Field(
        100_000_000, ge=1, description="a photo file with more bytes is rejected before it is opened"
    )
    quality: int = Field(95, ge=50, le=100, description="JPEG quality of stored faces")


class PhotoRejected(Exception):
    """A photo or face that cannot be used; `reason` is one of `schemas.reject.REASONS`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


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


def open_photo(data: bytes, settings: PhotoSettings) -> Image.Image:
    """The photo, decoded whole, upright, RGB.

    Raises:
        PhotoRejected: `photo_too_large`, `not_a_photo` or `photo_unreadable`.
    """
    return _decode(_header(data, settings), data)


def crop_face(photo: Image.Image, box: Box | None, settings: PhotoSettings) -> Image.Image:
    """The face with its margin, square, at most `settings.size` a side; pixels beyond the edge repeat the edge.

    Without a box the whole picture is the face, and no margin is added.

    Raises:
        PhotoRejected: `photo_too_small`.
    """
    left, top, side = _square(photo.size, box, settings)
    size = min(settings.size, max(1, round(side)))
    if size == round(side):
        left, top, side = round(left), round(top), size  # no resizing, so no shift by parts of a pixel either
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


def face_of(data: bytes, box: Box | None, settings: PhotoSettings) -> Face:
    """The stored form of a face.

    A JPEG that has this form already (whole picture, square, upright, RGB, baseline or progressive, not too large) keeps its
    compressed pixels: it is decoded to see that it is whole, and only comments and camera data are taken out.

    Raises:
        PhotoRejected: as `open_photo` and `crop_face`.
    """
    photo = _header(data, settings)
    stored = _stored_form(photo, data, box, settings)
    if stored is None:
        if box is None:
            _decode_smaller(photo, settings)
        face = crop_face(_decode(photo, data), box, settings)
        buffer = io.BytesIO()
        face.save(buffer, "JPEG", quality=settings.quality)
        stored = buffer.getvalue()
    else:
        face = _decode(photo, data)
        _square(face.size, box, settings)
    return Face(stored, face.height, face.width, hashlib.sha256(face.tobytes()).digest())


@cache
def _formats() -> tuple[str, ...]:
    Image.init()  # Pillow knows only the most usual formats before
    return _FORMATS


# What Pillow's decoders raise over damaged data, beyond OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP")


def _header(data: bytes, settings: PhotoSettings) -> Image.Image:
    """The photo, opened but not decoded."""
    if len(data) > settings.max_bytes:
        raise PhotoRejected("photo_too_large", f"{len(data)} bytes, {settings.max_bytes} are allowed")
    if not data:
        raise PhotoRejected("not_a_photo", "the file is empty")
    try:
        photo = Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError as error:
        raise PhotoRejected("photo_too_large", str(error)) from error
    except _DAMAGE as error:
        if data.startswith(_BEGINNINGS) or data[8:12] == b"WEBP":
            detail = "its header is damaged" if isinstance(error, UnidentifiedImageError) else str(error)
            raise PhotoRejected("photo_unreadable", detail) from error
        raise PhotoRejected("not_a_photo", f"begins with {data[:8].hex(' ')}") from error
    if photo.width * photo.height > settings.max_pixels:
        detail = f"{photo.width} x {photo.height} pixels, {settings.max_pixels} are allowed"
        raise PhotoRejected("photo_too_large", detail)
    return photo


def _decode(photo: Image.Image, data: bytes) -> Image.Image:
    """The pixels of an opened photo, upright and RGB."""
    try:
        photo.load()
        turn = _TURNS.get(_orientation(photo))
        upright = _rgb(photo)
        cut_short = photo.format == "JPEG" and _is_grey_at_end(upright) and _would_read_on(photo, data)
    except Image.DecompressionBombError as error:
        raise PhotoRejected("photo_too_large", str(error)) from error
    except _DAMAGE as error:
        raise PhotoRejected("photo_unreadable", str(error) or type(error).__name__) from error
    if cut_short:
        raise PhotoRejected("photo_unreadable", "its data ends early, and the rest of it would be grey")
    return upright.transpose(turn) if turn is not None else upright


def _is_grey_at_end(photo: Image.Image) -> bool:
    """Whether the last pixel has the colour that libjpeg gives to what is missing."""
    return photo.getpixel((photo.width - 1, photo.height - 1)) == (128, 128, 128)


def _would_read_on(photo: Image.Image, data: bytes) -> bool:
    """Whether a JPEG lacks data although it has an end marker: then more data before the marker makes another picture.

    libjpeg only warns of it, and Pillow passes no warnings on.
    """
    end = data.rfind(b"\xff\xd9")
    longer = Image.open(io.BytesIO(data[:end] + 1024 * b"\x55" + data[end:]), formats=("JPEG",))
    scale = round(longer.width / photo.width)
    longer.draft(None, (longer.width // scale, longer.height // scale))
    return longer.tobytes() != photo.tobytes()


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a photo upright, by EXIF orientation (CIPA DC-008, 4.6.5)."""

_CAMERA_DATA = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")


def _orientation(photo: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where the photo says none, or nothing that can be read."""
    # Pillow turns TIFF photos by itself while it loads them.
    if photo.format == "TIFF" or not any(name in photo.info for name in _CAMERA_DATA):
        return 1
    try:
        return int(photo.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGE:
        return 1


def _rgb(photo: Image.Image) -> Image.Image:
    mode = photo.mode
    if mode == "RGB" and "transparency" not in photo.info:
        return photo
    import numpy as np

    if mode.startswith("I;16") or mode == "I":
        return Image.fromarray((np.clip(np.asarray(photo), 0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if mode == "F":
        grey = np.nan_to_num(np.asarray(photo))
        scale = 255 if grey.max(initial=0) <= 1 else 1  # both 0 to 1 and 0 to 255 are in use
        return Image.fromarray(np.clip(grey * scale, 0, 255).astype(np.uint8)).convert("RGB")
    if mode == "CMYK" and photo.format == "JPEG" and "adobe" not in photo.info:
        # Pillow takes every CMYK JPEG for one of Adobe's, which count ink the other way round.
        return ImageChops.invert(photo).convert("RGB")
    if "transparency" in photo.info or mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        picture = photo.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture).convert("RGB")
    return photo.convert("RGB")


def _square(size: tuple[int, int], box: Box | None, settings: PhotoSettings) -> tuple[float, float, float]:
    """Left, top and side of the square to be cut out of a photo; it may reach beyond the photo."""
    width, height = size
    if box is None:
        left, top, right, bottom, margin = 0.0, 0.0, float(width), float(height), 0.0
    else:
        (left, top, right, bottom), margin = box, settings.margin
        if not all(map(math.isfinite, box)):
            raise PhotoRejected("photo_too_small", f"the box {box} encloses nothing")
    seen = min(min(right, width) - max(left, 0), min(bottom, height) - max(top, 0))
    if seen < settings.min_side:
        detail = f"{max(seen, 0):.0f} pixels on the shorter side, {settings.min_side} are needed"
        raise PhotoRejected("photo_too_small", detail)
    side = max(right - left, bottom - top) * (1 + 2 * margin)
    return (left + right - side) / 2, (top + bottom - side) / 2, side


def _decode_smaller(photo: Image.Image, settings: PhotoSettings) -> None:
    """Let a large JPEG be decoded at a half, quarter or eighth, where that costs neither quality nor a rejection.

    At least twice the final size is left for the filter, which then has the last word on every pixel.
    """
    width, height = photo.size
    if photo.format == "JPEG":
        longest = 2 * settings.size
        shortest = min(width, height) * longest // max(width, height)
        if shortest >= settings.min_side:
            photo.draft(None, (longest * width // max(width, height), longest * height // max(width, height)))


def _stored_form(photo: Image.Image, data: bytes, box: Box | None, settings: PhotoSettings) -> bytes | None:
    """The JPEG without comments and camera data, if its pixels can be stored as they are; else None."""
    fits = box is None and photo.width == photo.height <= settings.size
    if not fits or photo.format != "JPEG" or photo.mode != "RGB" or _orientation(photo) != 1:
        return None
    kept = [b"\xff\xd8"]
    for marker, start, end in _segments(data):
        if marker in _OTHER_FRAMES:
            return None
        if marker == _SCAN:
            return b"".join((*kept, data[start : data.rfind(b"\xff\xd9") + 2]))
        if marker not in _DESCRIPTIONS:
            kept.append(data[start:end])
    return None


_SCAN = 0xDA
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
"""JPEG processes that not every reader knows: lossless, hierarchical, arithmetic (ITU-T T.81, table B.1)."""
_DESCRIPTIONS = {0xFE, *range(0xE1, 0xEE), 0xEF}
"""Comments and application data; not JFIF's 0xE0 and Adobe's 0xEE, which say how colours are meant."""


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first and last byte (exclusive) of the segments of a JPEG, up to its first scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        yield marker, place, end
        if marker == _SCAN:
            return
        place = end
