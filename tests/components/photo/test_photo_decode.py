"""Photos of every kind become upright RGB."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from PIL import Image

from components.photo import face_of, open_photo
from tests.components.photo.drawn_photos import BLUE, RED, SETTINGS, WHITE, difference, heic, scene, stored


class TestEveryKindOfPictureBecomesUprightRgb:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
    def test_format(self, kind):
        options = {"lossless": True} if kind == "WEBP" else {}
        photo = open_photo(stored(scene(), kind, **options), SETTINGS)
        assert photo.mode == "RGB"
        assert difference(photo, scene()) < 12

    @pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
    def test_mode(self, mode):
        kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
        photo = open_photo(stored(scene().convert(mode), kind), SETTINGS)
        expected = scene() if mode in ("CMYK", "YCbCr") else scene().convert(mode).convert("RGB")
        assert photo.mode == "RGB"
        assert difference(photo, expected) < 4

    def test_cmyk_without_adobes_marker_counts_ink_and_not_its_absence(self):
        data = stored(Image.new("CMYK", (32, 32), (0, 255, 255, 0)))
        assert open_photo(data, SETTINGS).getpixel((16, 16)) == pytest.approx(RED, abs=3)
        place = data.index(b"\xff\xee")
        length = 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        # Without the marker the same bytes mean the opposite amounts of ink: full cyan and black are left out.
        unmarked = open_photo(data[:place] + data[place + length :], SETTINGS)
        assert unmarked.getpixel((16, 16)) == pytest.approx((0, 0, 0), abs=3)

    def test_transparency_lies_on_white(self):
        clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
        clear.paste((255, 0, 0, 255), (0, 0, 16, 32))
        half = Image.new("LA", (32, 32), (0, 128))
        palette = Image.new("P", (32, 32), 0)
        palette.putpalette([0, 0, 0, 255, 0, 0])
        assert open_photo(stored(clear, "PNG"), SETTINGS).getpixel((8, 8)) == RED
        assert open_photo(stored(clear, "WEBP", lossless=True), SETTINGS).getpixel((24, 8)) == WHITE
        assert open_photo(stored(half, "PNG"), SETTINGS).getpixel((0, 0)) == (127, 127, 127)
        assert open_photo(stored(palette, "PNG", transparency=0), SETTINGS).getpixel((0, 0)) == WHITE
        assert open_photo(stored(scene(), "PNG", transparency=RED), SETTINGS).getpixel((0, 0)) == WHITE

    def test_sixteen_bits_keep_their_range(self):
        ramp = (np.arange(64 * 64, dtype=np.uint32).reshape(64, 64) * 16).astype(np.uint16)
        for kind in ("PNG", "TIFF"):
            photo = np.asarray(open_photo(stored(Image.fromarray(ramp), kind), SETTINGS))
            assert np.array_equal(photo[..., 0], (ramp >> 8).astype(np.uint8))

    @pytest.mark.parametrize("scale", [1, 255])
    def test_floats_may_reach_to_1_or_to_255(self, scale):
        grey = np.linspace(0, scale, 32 * 32, dtype=np.float32).reshape(32, 32)
        photo = np.asarray(open_photo(stored(Image.fromarray(grey), "TIFF"), SETTINGS))
        assert photo[0, 0, 0] == 0
        assert photo[-1, -1, 0] == 255

    def test_the_first_picture_of_an_animation_counts(self):
        first, second = (Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE))
        for kind in ("GIF", "WEBP"):
            data = stored(first, kind, save_all=True, append_images=[second])
            assert open_photo(data, SETTINGS).getpixel((9, 9)) == pytest.approx(RED, abs=4)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_turns_it_upright(self, orientation):
        # The turns of a camera, undone: what is stored is the upright scene turned the other way.
        back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
        turned = scene() if orientation == 1 else scene().transpose(Image.Transpose(back[orientation]))
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("JPEG", "PNG", "WEBP"):
            assert difference(open_photo(stored(turned, kind, exif=exif), SETTINGS), scene()) < 6, kind

    def test_broken_exif_is_passed_over(self):
        data = stored(scene(), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
        assert open_photo(data, SETTINGS).size == (120, 80)

    def test_a_colour_of_what_is_missing_may_be_a_colour_of_the_photo(self):
        grey = scene(200, 200)
        grey.paste((128, 128, 128), (0, 100, 200, 200))
        for progressive in (False, True):
            assert open_photo(stored(grey, progressive=progressive), SETTINGS).size == (200, 200)
            assert face_of(stored(grey.resize((1001, 1001)), progressive=progressive), None, SETTINGS).width == 64


class TestHeic:
    def test_becomes_rgb(self):
        photo = open_photo(heic(scene()), SETTINGS)
        assert photo.mode == "RGB"
        assert difference(photo, scene()) < 4

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_is_turned_once(self, orientation):
        """Its own properties turn it; the camera data, which say the same, do not turn it again."""
        back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
        turned = scene() if orientation == 1 else scene().transpose(Image.Transpose(back[orientation]))
        exif = Image.Exif()
        exif[0x0112] = orientation
        assert difference(open_photo(heic(turned, exif), SETTINGS), scene()) < 6

    def test_transparency_lies_on_white(self):
        clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
        clear.paste((255, 0, 0, 255), (0, 0, 32, 64))
        photo = open_photo(heic(clear), SETTINGS)
        assert photo.getpixel((16, 32)) == pytest.approx(RED, abs=6)
        assert photo.getpixel((48, 32)) == pytest.approx(WHITE, abs=6)

    def test_is_read_in_any_process(self):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            assert pool.submit(size_of, heic(scene())).result() == (120, 80)


def size_of(data: bytes) -> tuple[int, int]:
    return open_photo(data, SETTINGS).size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_once(orientation):
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    turned = scene() if orientation == 1 else scene().transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert difference(open_photo(stored(turned, "AVIF", exif=exif), SETTINGS), scene()) < 6


@pytest.mark.parametrize(
    "value",
    [
        b"\0\3\0\0\0\1\0\0\0\0",  # 0
        b"\0\3\0\0\0\1\0\x09\0\0",  # 9
        b"\0\2\0\0\0\4six\0",  # text
        b"\0\3\0\0\0\0\0\6\0\0",  # no value
        b"\0\x0d\0\0\0\1\0\6\0\0",  # of a type that does not exist
        b"\0\5\0\0\0\1\0\0\1\0",  # a fraction that lies beyond the end
    ],
)
def test_an_orientation_that_does_not_exist_turns_nothing(value):
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12" + value + bytes(4)
    assert difference(open_photo(stored(scene(), exif=exif), SETTINGS), scene()) < 6
