"""What is no whole photo is rejected with a reason."""

import struct
import zlib

import pytest

from components.photo import PhotoSettings, open_photo
from tests.components.photo.drawn_photos import reason_of, scene, stored


class TestWhatIsNoWholePhotoIsRejected:
    @pytest.mark.parametrize(
        "data", [b"", b"<html>404 Not Found</html>", b"%PDF-1.7", b"\0" * 5000, b"%!PS-Adobe-3.0 EPSF"]
    )
    def test_not_a_photo(self, data):
        assert reason_of(data) == "not_a_photo"

    @pytest.mark.parametrize("progressive", [False, True])
    def test_a_jpeg_that_is_cut_short(self, progressive):
        data = stored(scene(), progressive=progressive)
        for length in (4, 30, 200, 650, len(data) // 2, len(data) - 20, len(data) - 2, len(data) - 1):
            assert reason_of(data[:length]) == "photo_unreadable", length

    def test_a_jpeg_that_is_cut_short_and_has_an_end_marker(self):
        data = stored(scene(400, 400))
        assert reason_of(data[: len(data) // 2] + b"\xff\xd9") == "photo_unreadable"

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "BMP"])
    def test_other_formats_cut_short(self, kind):
        data = stored(scene(), kind)
        assert reason_of(data[: len(data) // 2]) == "photo_unreadable"
        assert reason_of(data[:14]) == "photo_unreadable"

    def test_damage_in_the_middle_of_a_png(self):
        data = bytearray(stored(scene(), "PNG"))
        data[len(data) // 2] ^= 0xFF
        assert reason_of(bytes(data)) == "photo_unreadable"

    def test_too_many_bytes_are_not_looked_at(self):
        assert reason_of(b"x" * 1001, PhotoSettings(max_bytes=1000)) == "photo_too_large"

    def test_too_many_pixels_are_not_decoded(self):
        assert reason_of(stored(scene()), PhotoSettings(max_pixels=120 * 80 - 1)) == "photo_too_large"
        assert open_photo(stored(scene()), PhotoSettings(max_pixels=120 * 80)).size == (120, 80)

    @pytest.mark.parametrize("side", [12_000, 60_000])
    def test_a_decompression_bomb(self, side):
        """A PNG of some hundred bytes that says it has so many pixels."""

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
        assert reason_of(data) == "photo_too_large"

    def test_too_small(self):
        assert reason_of(stored(scene(120, 7))) == "photo_too_small"
        assert reason_of(stored(scene(7, 7))) == "photo_too_small"
