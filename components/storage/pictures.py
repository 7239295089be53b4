"""Which files are called like pictures."""

_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def is_picture_name(name: str) -> bool:
    """Whether a file is called like a picture."""
    return name.lower().endswith(_PICTURES)
