"""A photo's bytes become upright RGB pixels."""

import io
import warnings
from functools import cache

from PIL import Image, ImageChops, UnidentifiedImageError

from components.photo import camera_raw, formats, jpeg, jxl, png
from components.photo.damage import DAMAGE
from components.photo.formats import Format
from components.photo.orient import turn_of
from components.photo.settings import PhotoRejected, PhotoSettings

# `max_pixels` decides before a picture is decoded, and broken camera data are passed over: nobody need be warned.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)


def open_photo(data: bytes, settings: PhotoSettings) -> Image.Image:
    """The photo, decoded whole, upright, RGB.

    Raises:
        PhotoRejected: `photo_too_large`, `not_a_photo`, `photo_unsupported` or `photo_unreadable`.
        MemoryError: there is no memory for its pixels, which is no fault of the photo.
    """
    return decoded(opened(data, settings), data)


def opened(data: bytes, settings: PhotoSettings) -> Image.Image:
    """The photo, opened but not decoded.

    Raises:
        PhotoRejected: as `open_photo`.
    """
    if len(data) > settings.max_bytes:
        raise PhotoRejected("photo_too_large", f"{len(data)} bytes, {settings.max_bytes} are allowed")
    kind = formats.format_of(data)
    _check_is_read(kind, data)
    if not _register(kind.plugin):
        raise PhotoRejected("photo_unsupported", f"{kind.name}, which is not read without the extra [jxl]: {_CONVERT}")
    if kind.plugin == "JXL":
        _check_pixels(jxl.size_of(data) or (0, 0), settings)
    try:
        photo = Image.open(io.BytesIO(data), formats=(kind.plugin,))
    except Image.DecompressionBombError as error:
        raise PhotoRejected("photo_too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise PhotoRejected("photo_unreadable", f"the header of this {kind.name} file is damaged") from error
    except DAMAGE as error:
        raise PhotoRejected("photo_unreadable", f"{kind.name}: {_message(error)}") from error
    _check_pixels(photo.size, settings)
    return photo


def decoded(photo: Image.Image, data: bytes) -> Image.Image:
    """The pixels of an opened photo, upright and RGB.

    Raises:
        PhotoRejected: as `open_photo`.
    """
    if photo.format == "PNG":
        png.check(data)
    pixels = jpeg.pixels_of(photo, data) if photo.format in jpeg.FORMATS else None
    if pixels is None:
        pixels = _load(photo)
    turn = turn_of(photo)
    upright = _rgb(pixels)
    return upright.transpose(turn) if turn is not None else upright


def _load(photo: Image.Image) -> Image.Image:
    try:
        photo.load()
    except Image.DecompressionBombError as error:
        raise PhotoRejected("photo_too_large", str(error)) from error
    except DAMAGE as error:
        raise PhotoRejected("photo_unreadable", f"{photo.format}: {_message(error)}") from error
    return photo


def _check_pixels(size: tuple[int, int], settings: PhotoSettings) -> None:
    width, height = size
    if width * height > settings.max_pixels:
        raise PhotoRejected("photo_too_large", f"{width} x {height} pixels, {settings.max_pixels} are allowed")


_CONVERT = "convert it to JPEG or PNG"


def _check_is_read(kind: Format, data: bytes) -> None:
    """See that a file is a picture of a format that is read.

    Raises:
        PhotoRejected: `not_a_photo` or `photo_unsupported`, with the name of what it is.
    """
    if not kind.is_picture:
        raise PhotoRejected("not_a_photo", kind.name)
    raw = kind.name if kind.is_raw else camera_raw.kind_of(data) if kind.plugin == "TIFF" else ""
    if raw:
        raise PhotoRejected("photo_unsupported", f"{raw}; only its thumbnail could be read: develop it to JPEG or TIFF")
    if not kind.plugin:
        raise PhotoRejected("photo_unsupported", f"{kind.name}, which is not read: {_CONVERT}")


@cache
def _register(plugin: str) -> bool:
    """Let Pillow know a format, once in every process that meets it. Whether there is something to decode it."""
    if plugin == "HEIF":
        import pi_heif

        # One thread a photo: who decodes many has a process or a thread for each core already.
        pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    elif plugin == "JXL":
        try:
            from pillow_jxl import JpegXLImagePlugin
        except ImportError:
            return False
        JpegXLImagePlugin.DECODE_THREADS = 0
    else:
        Image.init()  # Pillow knows only the most usual formats before
    return True


def _message(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


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
    if mode == "CMYK" and photo.format in jpeg.FORMATS and "adobe" not in photo.info:
        # Pillow takes every CMYK JPEG for one of Adobe's, which count ink the other way round.
        return ImageChops.invert(photo).convert("RGB")
    if "transparency" in photo.info or mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        picture = photo.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture).convert("RGB")
    return photo.convert("RGB")
