"""What is no whole photo is rejected with a reason, and what is whole is not."""

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.photo import PhotoRejected, PhotoSettings, decode, face_of, open_photo
from components.photo.damage import DAMAGE
from tests.components.photo.drawn_photos import (
    SETTINGS,
    detail_of,
    grainy,
    heic,
    jpegs_of_every_kind,
    reason_of,
    scene,
    stored,
)

JPEGS = jpegs_of_every_kind()


def end_of_first(jpeg: bytes) -> int:
    return jpeg.index(b"\xff\xd9")


class TestAJpegOfAnyKind:
    @pytest.mark.parametrize("kind", JPEGS)
    def test_is_accepted_whole(self, kind):
        assert open_photo(JPEGS[kind], SETTINGS).size == (400, 300)
        assert face_of(JPEGS[kind], None, SETTINGS).width == 64

    @pytest.mark.parametrize("kind", JPEGS)
    def test_is_rejected_when_cut_short_and_ended(self, kind):
        """As recovery programs and interrupted transfers leave it: an end marker, and what stood behind the picture."""
        data, end = JPEGS[kind], end_of_first(JPEGS[kind])
        for share in (0.3, 0.5, 0.8, 0.99):
            cut = data[: int(end * share)] + data[end:]
            assert detail_of(cut) == "its data ends early, and the rest of it would be grey", share

    @pytest.mark.parametrize("kind", JPEGS)
    def test_is_rejected_when_cut_short(self, kind):
        data, end = JPEGS[kind], end_of_first(JPEGS[kind])
        for share in (0.3, 0.5, 0.8, 0.99):
            assert reason_of(data[: int(end * share)]) == "photo_unreadable", share

    @pytest.mark.parametrize("kind", JPEGS)
    def test_is_rejected_with_a_hole_of_zeros(self, kind):
        data, end = JPEGS[kind], end_of_first(JPEGS[kind])
        # A progressive one holds fine detail at its end, where a hole costs next to nothing that could be noticed.
        for share in (0.1, 0.2, 0.3) if kind == "progressive" else (0.3, 0.5, 0.8):
            hole = data[: int(end * share)] + bytes(1500) + data[int(end * share) + 1500 :]
            assert reason_of(hole) == "photo_unreadable", share

    def test_may_be_large_and_decoded_small(self):
        data = stored(grainy(1600, 1200))
        cut = data[: len(data) // 2] + b"\xff\xd9"
        assert reason_of(cut) == "photo_unreadable"

    def test_is_rejected_cut_short_when_it_is_stored_as_it_is(self):
        data = stored(grainy(64, 64))
        assert face_of(data, None, SETTINGS).jpeg == data
        assert reason_of(data[: len(data) - 200] + b"\xff\xd9") == "photo_unreadable"

    def test_has_the_pixels_that_pillow_gives(self):
        for kind, data in JPEGS.items():
            if kind != "CMYK":
                by_pillow = Image.open(io.BytesIO(data)).convert("RGB")
                assert open_photo(data, SETTINGS).tobytes() == by_pillow.tobytes(), kind

    def test_can_be_drawn_on_and_copied(self):
        photo = open_photo(JPEGS["baseline"], SETTINGS)
        photo.paste((0, 0, 255), (0, 0, 10, 10))
        assert (photo.mode, np.asarray(photo).shape, photo.getpixel((5, 5))) == ("RGB", (300, 400, 3), (0, 0, 255))
        assert photo.copy().resize((20, 20)).mode == "RGB"


class TestCarelesslyWrittenJpegsAreWhole:
    """The decoder warns of them, and nothing of the picture is missing."""

    def with_app(self, marker: int, payload: bytes) -> bytes:
        data = JPEGS["baseline"]
        return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", 2 + len(payload)) + payload + data[2:]

    def harmless(self) -> dict[str, bytes]:
        data, end = JPEGS["baseline"], end_of_first(JPEGS["baseline"])
        return {
            "zeros before the end": data[:end] + bytes(600) + data[end:],
            "six bytes too many": data[:end] + b"\x12\x34\x56\x12\x34\x56" + data[end:],
            "an unknown colour transform of Adobe's": self.with_app(0xEE, b"Adobe\0\x64\0\0\0\0\x07"),
            "a JFIF of the future": data.replace(b"JFIF\0\x01", b"JFIF\0\x09", 1),
        }

    def test_and_accepted(self):
        for name, data in self.harmless().items():
            assert open_photo(data, SETTINGS).size == (400, 300), name

    def test_and_damage_behind_such_a_warning_is_found_all_the_same(self):
        for name, data in self.harmless().items():
            cut = data[: len(data) // 2] + b"\xff\xd9"
            assert detail_of(cut) == "its data ends early, and the rest of it would be grey", name

    def test_but_many_bytes_too_many_are_pixels_gone_astray(self):
        data, end = JPEGS["baseline"], end_of_first(JPEGS["baseline"])
        assert "extraneous bytes" in detail_of(data[:end] + data[end - 600 :])


class TestOtherFormats:
    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "BMP", "JPEG2000", "AVIF"])
    def test_cut_short(self, kind):
        data = stored(grainy(), kind)
        assert reason_of(data[: len(data) // 2]) == "photo_unreadable"
        assert reason_of(data[:14]) == "photo_unreadable"

    def test_a_heic_that_is_cut_short(self):
        data = heic(grainy())
        for length in (14, 40, 300, len(data) // 2, len(data) - 1):
            assert reason_of(data[:length]) == "photo_unreadable", length

    def test_damage_in_the_middle_of_a_png(self):
        data = bytearray(stored(scene(), "PNG"))
        data[len(data) // 2] ^= 0xFF
        assert reason_of(bytes(data)) == "photo_unreadable"

    def test_a_png_whose_pixels_are_others_than_its_checksum_says(self):
        """Stored without compression, any bytes are pixels: only the checksum can tell."""
        data = bytearray(stored(grainy(), "PNG", compress_level=0))
        place = len(data) // 2
        data[place : place + 100] = bytes(100)
        assert "checksum" in detail_of(bytes(data))

    def test_the_message_names_the_format(self):
        data = stored(grainy(), "AVIF")
        assert "AVIF" in detail_of(data[: len(data) // 2])
        assert "HEIC" in detail_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(3000))


ORDERS = {
    "JPEG": ">H",
    "GIF": "<H",
    "BMP": "<I",
    "TIFF": "<I",
    "PPM": ">I",
    "JPEG2000": ">I",
    "AVIF": ">I",
    "HEIC": ">I",
}
"""How formats write a number of pixels."""


class TestTooLarge:
    def test_too_many_bytes_are_not_looked_at(self):
        assert reason_of(b"x" * 1001, PhotoSettings(max_bytes=1000)) == "photo_too_large"

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIC"])
    def test_too_many_pixels_are_not_decoded(self, kind, monkeypatch):
        data = heic(scene()) if kind == "HEIC" else stored(scene(), kind)
        assert open_photo(data, PhotoSettings(max_pixels=120 * 80)).size == (120, 80)
        monkeypatch.setattr(decode, "decoded", lambda *arguments: pytest.fail("it was decoded"))
        assert reason_of(data, PhotoSettings(max_pixels=120 * 80 - 1)) == "photo_too_large"

    @pytest.mark.parametrize("side", [12_000, 60_000])
    def test_a_decompression_bomb(self, side):
        """A PNG of some hundred bytes that says it has so many pixels."""

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
        assert reason_of(data) == "photo_too_large"

    @pytest.mark.parametrize("side", [12_000, 60_000])
    @pytest.mark.parametrize("kind", ["JPEG", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIC"])
    def test_a_bomb_of_another_format(self, kind, side):
        """A small photo whose header says that it is so large."""
        data = heic(scene(120, 90)) if kind == "HEIC" else stored(scene(120, 90), kind)
        width, height, larger = (struct.pack(ORDERS[kind], pixels) for pixels in (120, 90, side))
        parts = {
            "PPM": ((b"120 90", b"%d %d" % (side, side)),),
            "TIFF": tuple((tag + pixels, tag + larger) for tag in [b"\x04\0\1\0\0\0"] for pixels in (width, height)),
        }.get(kind, ((width + height, larger * 2), (height + width, larger * 2)))
        bomb = data
        for old, new in parts:
            bomb = bomb.replace(old, new)
        assert bomb != data
        # libavif and libheif refuse what is larger than their own limits before they tell the size.
        allowed = {"photo_too_large", "photo_unreadable"} if kind in ("AVIF", "HEIC") else {"photo_too_large"}
        assert reason_of(bomb) in allowed

    def test_too_small(self):
        assert reason_of(stored(scene(120, 7))) == "photo_too_small"
        assert reason_of(stored(scene(7, 7))) == "photo_too_small"


class TestOnlyTheDecoderSpeaksOfDamage:
    """A fault of ours, or a machine without memory, says nothing about a photo: it must not cost the photo its place."""

    @pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, ValueError])
    def test_an_error_of_our_own_code_is_no_reject(self, error, monkeypatch):
        def fail(photo: Image.Image) -> None:
            raise error("a fault of ours")

        monkeypatch.setattr(decode, "_rgb", fail)
        for kind in ("JPEG", "PNG"):
            with pytest.raises(error, match="a fault of ours"):
                open_photo(stored(scene(), kind), SETTINGS)

    def test_want_of_memory_is_no_reject(self, monkeypatch):
        def fail(*arguments: object, **keywords: object) -> None:
            raise MemoryError

        photos = [stored(scene(), kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load_prepare", fail)
        monkeypatch.setattr("simplejpeg.decode_jpeg", fail)
        for data in photos:
            with pytest.raises(MemoryError):
                open_photo(data, SETTINGS)

    def test_want_of_memory_that_libjpeg_tells_is_none_either(self, monkeypatch):
        def fail(*arguments: object, **keywords: object) -> None:
            raise ValueError("Insufficient memory (case 4)")

        monkeypatch.setattr("simplejpeg.decode_jpeg", fail)
        with pytest.raises(MemoryError):
            open_photo(JPEGS["baseline"], SETTINGS)

    @pytest.mark.parametrize("error", DAMAGE)
    def test_whatever_a_decoder_raises_is_a_reject(self, error, monkeypatch):
        def fail(*arguments: object, **keywords: object) -> None:
            raise error("broken")

        data = stored(scene(), "PNG")
        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail, raising=False)
        with pytest.raises(PhotoRejected) as rejected:
            open_photo(data, SETTINGS)
        assert rejected.value.reason == "photo_unreadable"


def shared(name: str) -> Path:
    path = Path(os.environ.get("VISAGE_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data") / name
    if not path.is_file():
        pytest.skip(f"no {path}; set VISAGE_SHARED_DATA")
    return path


@pytest.mark.parametrize("name", ["utkface_10k.zip", "utkface_defects.zip", "photos.zip"])
def test_of_real_photos_none_is_lost(name):
    with zipfile.ZipFile(shared(name)) as archive:
        names = [entry for entry in archive.namelist() if entry.lower().endswith((".jpg", ".jpeg", ".png", ".webp"))]
        assert names
        for entry in names:
            open_photo(archive.read(entry), SETTINGS)
