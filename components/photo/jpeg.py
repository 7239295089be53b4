"""JPEG: decoding that hears the decoder's warnings, and the parts of a file.

Pillow passes none of libjpeg's warnings on, so a photo whose data end early comes out grey from there on. simplejpeg binds
the same libjpeg-turbo, gives the same pixels at the same speed, and tells them.
"""

import re
from collections.abc import Iterator
from typing import Any

from PIL import Image

from components.photo.settings import PhotoRejected

FORMATS = ("JPEG", "MPO")
"""What Pillow calls a JPEG; an MPO has more pictures behind the first one, as phones and stereo cameras write them."""

ENDS_EARLY = "its data ends early, and the rest of it would be grey"

_EARLY = ("premature end of data segment", "Premature end of JPEG file")
_DAMAGED = ("bad Huffman code", "bad arithmetic code", "instead of RST", "Inconsistent progression sequence")
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_END = 0xD9
_SLOPPY = 8
"""So many bytes too many at the end, or any number of zeros, are a camera's carelessness; more are pixels gone astray."""


def pixels_of(photo: Image.Image, data: bytes) -> Image.Image | None:
    """The RGB pixels of a JPEG that Pillow opened, at the size it was opened or drafted for; None if Pillow should decode it.

    Raises:
        PhotoRejected: `photo_unreadable`, the decoder warns of damage.
        MemoryError: there is no memory for it.
    """
    if photo.mode not in ("RGB", "L"):
        # Pillow knows how inks are meant, simplejpeg only how much of the picture is there: an eighth is enough for that.
        _pixels(data, "CMYK", (-(-photo.width // 8), -(-photo.height // 8)))
        return None
    pixels = _pixels(data, "RGBX", photo.size)
    return _rgb(pixels, photo.size) if pixels is not None and pixels.shape[1::-1] == photo.size else None


def _pixels(data: bytes, colours: str, size: tuple[int, int]) -> Any:
    """Pixels at a size, or None if the decoder complains of something that is no damage."""
    import simplejpeg  # not above, as it brings numpy: whoever only asks for the settings need not wait for it

    width, height = size
    try:
        return simplejpeg.decode_jpeg(data, colours, min_height=height, min_width=width)
    except ValueError as error:
        warning = str(error)
    _check(warning, data)
    try:
        # What it complains of first hides what would come after; without camera data it has less to complain of.
        simplejpeg.decode_jpeg(_bare(data), colours, min_height=-(-height // 8), min_width=-(-width // 8))
    except ValueError as error:
        _check(str(error), data)
    return None


def _rgb(pixels: Any, size: tuple[int, int]) -> Image.Image:
    """A picture that stands on these pixels: Pillow keeps RGB in four bytes, too, and copying takes a fifth of decoding."""
    picture = Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", 0, 1)
    try:
        picture.im.setmode("RGB")  # as Pillow's own putalpha does
        picture._mode = "RGB"
    except (AttributeError, ValueError):
        return picture.convert("RGB")
    return picture


def _check(warning: str, data: bytes) -> None:
    if "nsufficient memory" in warning or "llocation failure" in warning:
        raise MemoryError(warning)
    if any(text in warning for text in _EARLY):
        raise PhotoRejected("photo_unreadable", ENDS_EARLY)
    left_over = _LEFT_OVER.search(warning)
    if left_over:
        count, marker = int(left_over[1]), int(left_over[2], 16)
        harmless = marker == _END and (count <= _SLOPPY or bytes(count) + b"\xff\xd9" in data)
    if any(text in warning for text in _DAMAGED) or (left_over and not harmless):
        raise PhotoRejected("photo_unreadable", f"its data is damaged ({warning.removeprefix('Corrupt JPEG data: ')})")


def _bare(data: bytes) -> bytes:
    """The JPEG without application data and comments; the colours may be others then."""
    pieces = [b"\xff\xd8"]
    for marker, start, end in segments(data):
        if marker == SCAN:
            pieces.append(data[start:])
        elif marker != 0xFE and not 0xE0 <= marker <= 0xEF:
            pieces.append(data[start:end])
    return b"".join(pieces)


SCAN = 0xDA


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first and last byte (exclusive) of the segments of a JPEG, up to its first scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        yield marker, place, end
        if marker == SCAN:
            return
        place = end


_AFTER_ENTROPY = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


def end_of_picture(data: bytes, scan: int) -> int:
    """Where the picture whose first scan begins at `scan` ends, end marker included; what follows is no part of it."""
    place = scan
    while True:
        # Scans and tables say how long they are; coded pixels end where a marker stands that is not theirs.
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        match = _AFTER_ENTROPY.search(data, place)
        if not match:
            return len(data)
        place = match.start()
        if data[place + 1] == _END:
            return place + 2
