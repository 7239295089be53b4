"""PNG: the checksums that Pillow does not hold against the pixels."""

import zlib

from components.photo.settings import PhotoRejected

_SIGNATURE = 8
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT")


def check(data: bytes) -> None:
    """See that the chunks which make the picture are as their checksums say (ISO 15948, 5.3).

    What is behind the last whole chunk is left to the decoder: it knows whether something is missing.

    Raises:
        PhotoRejected: `photo_unreadable`.
    """
    view = memoryview(data)
    place = _SIGNATURE
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(view[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        if kind == b"IEND" or end + 4 > len(data):
            return
        if kind in _CRITICAL and zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise PhotoRejected("photo_unreadable", "its data is damaged (a checksum of the PNG is another)")
        place = end + 4
