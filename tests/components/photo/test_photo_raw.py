"""Camera raw is named and rejected; the thumbnail in it is not taken for the photo."""

import struct

import pytest

from components.photo import PhotoRejected, open_photo
from tests.components.photo.drawn_photos import SETTINGS, heic, scene, stored

SHORT, LONG, ASCII, BYTE = 3, 4, 2, 1
Tags = dict[int, tuple[int, list[int] | bytes]]


def tiff(pictures: list[tuple[Tags, int, int, list[tuple[Tags, int, int]]]], order: str = "<") -> bytes:
    """A TIFF of grey pictures, each with tags of its own, a width, a height, and pictures below it (SubIFDs)."""
    data = bytearray({"<": b"II*\0", ">": b"MM\0*"}[order] + bytes(4))

    def value(kind: int, numbers: list[int] | bytes) -> tuple[int, bytes]:
        if isinstance(numbers, bytes):
            return len(numbers), numbers
        return len(numbers), struct.pack(f"{order}{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)

    def directory(tags: Tags, width: int, height: int, below: list[int]) -> int:
        pixels = len(data)
        data.extend(bytes(range(256)) * (width * height // 256 + 1))
        every: Tags = {
            256: (LONG, [width]),
            257: (LONG, [height]),
            258: (SHORT, [8]),
            259: (SHORT, [1]),
            262: (SHORT, [1]),
            273: (LONG, [pixels]),
            277: (SHORT, [1]),
            278: (LONG, [height]),
            279: (LONG, [width * height]),
        } | tags
        if below:
            every[330] = (LONG, below)
        fields = b""
        for tag, (kind, numbers) in sorted(every.items()):
            count, packed = value(kind, numbers)
            if len(packed) > 4:
                place = len(data)
                data.extend(packed)
                packed = struct.pack(f"{order}I", place)
            fields += struct.pack(f"{order}HHI", tag, kind, count) + packed.ljust(4, b"\0")
        start = len(data)
        data.extend(struct.pack(f"{order}H", len(every)) + fields + bytes(4))
        return start

    link = 4
    for tags, width, height, subs in pictures:
        below = [directory(*sub, []) for sub in subs]
        start = directory(tags, width, height, below)
        data[link : link + 4] = struct.pack(f"{order}I", start)
        link = len(data) - 4
    return bytes(data)


REDUCED: Tags = {254: (LONG, [1])}
MAKER: Tags = {271: (ASCII, b"NIKON CORPORATION\0")}
DNG: Tags = {50706: (BYTE, b"\1\4\0\0")}
SENSOR: Tags = {262: (SHORT, [32803])}


def why(data: bytes) -> str:
    with pytest.raises(PhotoRejected) as rejected:
        open_photo(data, SETTINGS)
    assert rejected.value.reason == "photo_unsupported"
    return rejected.value.detail


THUMBNAIL = "only its thumbnail could be read: develop it to JPEG or TIFF"


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_dng_is_not_scored_by_its_thumbnail(order):
    data = tiff([(REDUCED | DNG, 60, 80, [(SENSOR, 600, 800)])], order)
    assert why(data) == f"camera raw (DNG); {THUMBNAIL}"


@pytest.mark.parametrize(
    "pictures",
    [
        [(REDUCED | MAKER, 60, 80, [(SENSOR, 600, 800)])],  # NEF, ARW
        [(REDUCED | MAKER, 60, 80, [(REDUCED, 300, 400), ({259: (SHORT, [34713])}, 600, 800)])],  # compressed NEF
        [(MAKER | SENSOR | {259: (SHORT, [65535])}, 600, 800, []), (REDUCED, 60, 80, [])],  # PEF
        [(MAKER, 600, 400, []), (SENSOR, 600, 800, [])],  # a preview that is not marked as one
    ],
)
def test_other_makers_raw_is_named_by_the_maker(pictures):
    assert why(tiff(pictures)) == f"camera raw (NIKON CORPORATION); {THUMBNAIL}"


def test_a_linear_raw_is_raw():
    assert why(tiff([(REDUCED, 60, 80, [({262: (SHORT, [34892])}, 600, 800)])])) == f"camera raw; {THUMBNAIL}"


@pytest.mark.parametrize(
    ("data", "maker"),
    [
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(60), "Canon"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "Canon"),
        (b"IIRO\x08\0\0\0" + bytes(60), "Olympus"),
        (b"IIU\0\x08\0\0\0" + bytes(60), "Panasonic"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(60), "Fujifilm"),
        (b"FOVb" + bytes(60), "Sigma"),
    ],
)
def test_raw_that_looks_like_nothing_else(data, maker):
    assert why(data) == f"camera raw ({maker}); {THUMBNAIL}"


def test_a_tiff_that_begins_with_a_thumbnail_is_not_scored_by_it_either():
    begins = "a TIFF that begins with a thumbnail"
    assert why(tiff([(REDUCED, 60, 80, []), ({}, 600, 800, [])])) == f"{begins}; {THUMBNAIL}"
    assert why(tiff([(REDUCED, 60, 80, [({}, 600, 800)])])) == f"{begins}; {THUMBNAIL}"


@pytest.mark.parametrize(
    "pictures",
    [
        [({}, 60, 80, [])],
        [({}, 60, 80, []), ({}, 600, 800, [])],  # pages
        [(MAKER, 60, 80, [(REDUCED, 30, 40)])],  # the thumbnail is below the picture
        [(REDUCED, 60, 80, [])],  # marked as reduced, and all there is
    ],
)
def test_other_tiffs_are_photos(pictures):
    assert open_photo(tiff(pictures), SETTINGS).size == (60, 80)


def test_a_directory_that_leads_back_to_itself_is_read_once():
    data = bytearray(tiff([(REDUCED, 60, 80, [])]))
    data[-4:] = data[4:8]
    assert open_photo(bytes(data), SETTINGS).size == (60, 80)


def test_photos_that_cameras_finished_are_no_raw():
    for data in (stored(scene(), "TIFF"), stored(scene()), heic(scene())):
        assert open_photo(data, SETTINGS).size == (120, 80)
