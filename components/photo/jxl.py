"""JPEG XL: its size, read from its first bits. The plugin for Pillow decodes a picture to know how large it is."""

from collections.abc import Callable

_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL "
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_WIDTHS = (9, 13, 18, 30)


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG XL picture as it is stored, pixels (ISO 18181-1, SizeHeader); None if they are cut off."""
    start = _codestream(data)
    if start is None or data[start : start + 2] != _CODESTREAM or len(data) < start + 12:
        return None
    bits = int.from_bytes(data[start + 2 : start + 12], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)
    height = _side(take, small)
    ratio = take(3)
    if ratio:
        over, under = _RATIOS[ratio]
        return height * over // under, height
    return _side(take, small), height


def _side(take: Callable[[int], int], small: int) -> int:
    return 8 * (take(5) + 1) if small else take(_WIDTHS[take(2)]) + 1


def _codestream(data: bytes) -> int | None:
    """Where the picture begins: at once, or in the first box that holds some of it (ISO 18181-2)."""
    if not data.startswith(_CONTAINER):
        return 0
    place = 0
    while place + 16 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        header = 8
        if size == 1:
            size, header = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            return place + header + (4 if kind == b"jxlp" else 0)
        if size < header:
            return None
        place += size
    return None
