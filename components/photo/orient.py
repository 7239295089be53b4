"""Which way up a photo is."""

from PIL import ExifTags, Image

from components.photo.damage import DAMAGE

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

_TURNED_BY_THEIR_DECODERS = ("TIFF", "HEIF")
"""Pillow turns a TIFF while it loads it. A HEIC photo is turned by its own `irot` and `imir` (ISO 23008-12, 6.5.10), which
libheif obeys; its EXIF orientation says the same a second time and is to be passed over."""


def turn_of(photo: Image.Image) -> Image.Transpose | None:
    """What turns an opened photo upright; None if it is, or if it says nothing that can be read."""
    if photo.format == "JXL" and not getattr(photo, "jpeg", False):
        return None  # libjxl turned it; only of a JPEG that was packed as JPEG XL the plugin gives the JPEG as it was
    if photo.format in _TURNED_BY_THEIR_DECODERS or not any(name in photo.info for name in _CAMERA_DATA):
        return None
    try:
        return _TURNS.get(int(photo.getexif().get(ExifTags.Base.Orientation, 1)))
    except DAMAGE:
        return None
