"""Camera raw files that look like TIFF, whose first picture is a thumbnail: DNG, NEF, ARW, PEF and their kind."""

import io
from dataclasses import dataclass

from PIL import TiffImagePlugin

from components.photo.damage import DAMAGE

# TIFF 6.0, TIFF/EP and DNG 1.7 for the tags; ExifTool's list of compressions for the makers' own.
_REDUCED, _WIDTH, _LENGTH, _COMPRESSION, _PHOTOMETRIC, _MAKE, _SUBIFDS, _DNG = 254, 256, 257, 259, 262, 271, 330, 50706
_SENSOR = {32803, 34892}
"""Photometric interpretations: a colour filter array, and raw that was only made linear."""
_MAKERS = {32767, 32769, 32770, 34713, 65000, 65535}
"""Compressions of Sony, Nikon, Samsung, Nikon, Kodak and Pentax."""
_MOST = 64


@dataclass(frozen=True, slots=True)
class _Picture:
    pixels: int
    is_reduced: bool
    is_raw: bool
    is_dng: bool
    maker: str


def kind_of(data: bytes) -> str:
    """What makes a TIFF a camera raw file, or its first picture another's thumbnail; empty for a TIFF that is neither.

    One that is too much damaged to tell is left to the decoder.
    """
    pictures = _pictures(data)
    if any(picture.is_dng for picture in pictures):
        return "camera raw (DNG)"
    if any(picture.is_raw for picture in pictures):
        return f"camera raw ({pictures[0].maker})" if pictures[0].maker else "camera raw"
    if pictures and pictures[0].is_reduced and any(picture.pixels > pictures[0].pixels for picture in pictures):
        return "a TIFF that begins with a thumbnail"
    return ""


def _pictures(data: bytes) -> list[_Picture]:
    """The pictures of a TIFF with what is below them, the first one first; none where it is damaged."""
    pictures: dict[int, _Picture] = {}
    try:
        file = io.BytesIO(data)
        header = data[: 16 if 43 in data[2:4] else 8]
        waiting = [TiffImagePlugin.ImageFileDirectory_v2(header).next]
        while waiting and len(pictures) < _MOST:
            offset = waiting.pop(0)
            if not offset or offset in pictures:
                continue
            directory = TiffImagePlugin.ImageFileDirectory_v2(header)
            file.seek(offset)
            directory.load(file)
            pictures[offset] = _Picture(
                pixels=_number(directory, _WIDTH) * _number(directory, _LENGTH),
                is_reduced=_number(directory, _REDUCED) % 2 == 1,
                is_raw=_number(directory, _PHOTOMETRIC) in _SENSOR or _number(directory, _COMPRESSION) in _MAKERS,
                is_dng=_DNG in directory,
                maker=str(directory.get(_MAKE, "")).strip("\0 "),
            )
            below = directory.get(_SUBIFDS, ())
            waiting += [*(below if isinstance(below, tuple) else (below,)), directory.next]
    except DAMAGE:
        return []
    return list(pictures.values())


def _number(directory: TiffImagePlugin.ImageFileDirectory_v2, tag: int) -> int:
    value = directory.get(tag, 0)
    return value if isinstance(value, int) else 0
