"""JPEG XL, where a decoder is installed, and where none is."""

import io
import sys

import pytest
from PIL import Image

from components.photo import PhotoRejected, PhotoSettings, decode, open_photo
from components.photo.jxl import size_of
from tests.components.photo.drawn_photos import SETTINGS, difference, reason_of, scene, stored

JXL = b"\xff\x0a" + bytes(40)


def test_without_a_decoder_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    decode._register.cache_clear()
    for data in (JXL, b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)):
        with pytest.raises(PhotoRejected) as rejected:
            open_photo(data, SETTINGS)
        assert rejected.value.reason == "photo_unsupported"
        assert rejected.value.detail.startswith("JPEG XL, which is not read without the extra [jxl]")
    decode._register.cache_clear()


class TestWithADecoder:
    @pytest.fixture(autouse=True)
    def _with_decoder(self):
        pytest.importorskip("pillow_jxl", reason="the extra [jxl] is not installed")

    def jxl(self, picture: Image.Image, **options: object) -> bytes:
        return stored(picture, "JXL", effort=1, **options)

    def test_it_becomes_rgb(self):
        photo = open_photo(self.jxl(scene()), SETTINGS)
        assert photo.mode == "RGB"
        assert difference(photo, scene()) < 4

    @pytest.mark.parametrize("container", [False, True])
    @pytest.mark.parametrize("size", [(120, 80), (64, 64), (640, 480), (1600, 900), (3000, 2), (8, 2000), (999, 1000)])
    def test_its_size_is_known_before_it_is_decoded(self, size, container):
        assert size_of(self.jxl(Image.new("RGB", size), use_container=container)) == size

    def test_a_decompression_bomb_is_not_decoded(self, monkeypatch):
        data = self.jxl(Image.new("RGB", (400, 400)))
        monkeypatch.setattr(Image, "open", lambda *file, **keywords: pytest.fail("it was decoded"))
        assert reason_of(data, PhotoSettings(max_pixels=400 * 400 - 1)) == "photo_too_large"

    def test_cut_short(self):
        data = self.jxl(scene())
        for length in (2, 8, 40, len(data) // 2, len(data) - 2):
            assert reason_of(data[:length]) == "photo_unreadable", length

    def test_a_jpeg_that_was_packed_as_jpeg_xl_is_turned_as_the_jpeg_says(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = tmp_path / "a.jpg"
        path.write_bytes(stored(scene().transpose(Image.Transpose.ROTATE_90), exif=exif))
        with Image.open(path) as picture:
            buffer = io.BytesIO()
            picture.save(buffer, "JXL", lossless_jpeg=True)
        assert difference(open_photo(buffer.getvalue(), SETTINGS), scene()) < 6

    def test_camera_data_beside_pixels_turn_nothing(self):
        """The pixels are turned by what their own header says (ISO 18181-2, annex on Exif)."""
        exif = Image.Exif()
        exif[0x0112] = 6
        assert difference(open_photo(self.jxl(scene(), exif=exif.tobytes()), SETTINGS), scene()) < 4
