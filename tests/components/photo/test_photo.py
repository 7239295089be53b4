"""Photos become upright RGB faces of the wanted size, or are rejected with a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from components.photo import PhotoRejected, PhotoSettings, crop_face, face_of, open_photo

SETTINGS = PhotoSettings(size=64, min_side=8)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def scene(width: int = 120, height: int = 80) -> Image.Image:
    """A picture without symmetry: smooth colours, and the upper left corner red."""
    y, x = np.mgrid[0:height, 0:width]
    colours = np.stack([255 * x / width, 255 * y / height, 128 + 60 * np.sin(x / 9) * np.cos(y / 7)], axis=-1)
    picture = Image.fromarray(colours.astype(np.uint8))
    picture.paste(RED, (0, 0, width // 4, height // 4))
    return picture


def stored(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        options = {"quality": 95} | options
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the pixels, 0 to 255."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


def reason_of(data: bytes, settings: PhotoSettings = SETTINGS) -> str:
    with pytest.raises(PhotoRejected) as rejected:
        face_of(data, None, settings)
    with pytest.raises(PhotoRejected) as opened:
        crop_face(open_photo(data, settings), None, settings)
    assert opened.value.reason == rejected.value.reason
    return rejected.value.reason


class TestEveryKindOfPictureBecomesUprightRgb:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
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


class TestTheFaceIsASquareAroundItsBox:
    def test_the_margin_is_a_share_of_the_box(self):
        face = crop_face(scene(400, 400), (100, 100, 200, 200), PhotoSettings(size=1024, margin=0.4))
        assert face.size == (180, 180)
        assert difference(face, scene(400, 400).crop((60, 60, 240, 240))) == 0

    def test_a_longish_box_keeps_its_proportions(self):
        face = crop_face(scene(400, 400), (150, 100, 200, 200), PhotoSettings(size=1024, margin=0))
        assert difference(face, scene(400, 400).crop((125, 100, 225, 200))) == 0

    def test_pixels_beyond_the_edge_repeat_the_edge(self):
        face = np.asarray(crop_face(scene(100, 100), (50, 60, 100, 110), PhotoSettings(size=1024, margin=0.4)))
        assert face.shape == (90, 90, 3)
        assert (face[:, 70:] == face[:, 69:70]).all()
        assert (face[60:] == face[59:60]).all()
        assert difference(Image.fromarray(face[:60, :70]), scene(100, 100).crop((30, 40, 100, 100))) == 0

    def test_a_whole_picture_becomes_square_with_nothing_cut_off(self):
        face = np.asarray(crop_face(scene(60, 40), None, PhotoSettings(size=1024)))
        assert face.shape == (60, 60, 3)
        assert np.array_equal(face[10:50], np.asarray(scene(60, 40)))
        assert (face[:10] == face[10]).all()
        assert (face[50:] == face[49]).all()

    def test_a_large_face_is_made_smaller_and_a_small_one_is_left(self):
        assert crop_face(scene(400, 400), None, SETTINGS).size == (64, 64)
        assert crop_face(scene(30, 30), None, SETTINGS).size == (30, 30)
        shrunk = crop_face(scene(400, 400), None, SETTINGS)
        assert difference(shrunk, scene(400, 400).resize((64, 64), Image.Resampling.BOX)) < 2

    def test_shrunk_with_edges_repeated_looks_like_edges_repeated_and_shrunk(self):
        large = crop_face(scene(400, 400), (200, 250, 400, 450), PhotoSettings(size=1024, margin=0.2))
        small = crop_face(scene(400, 400), (200, 250, 400, 450), PhotoSettings(size=70, margin=0.2))
        assert large.size == (280, 280)
        assert difference(small, large.resize((70, 70), Image.Resampling.BOX)) < 2

    def test_a_box_of_half_the_world_needs_no_memory(self):
        face = crop_face(scene(100, 100), (-1e9, -1e9, 1e9, 1e9), SETTINGS)
        assert face.size == (64, 64)

    @pytest.mark.parametrize(
        "box",
        [
            (200, 200, 300, 300),
            (-50, 0, -10, 60),
            (10, 10, 10, 50),
            (50, 50, 10, 10),
            (95, 10, 200, 90),
            (0, 0, 7, 50),
            (float("nan"), 0, 50, 50),
            (0, 0, float("inf"), 50),
        ],
    )
    def test_a_box_with_too_little_of_the_photo_in_it(self, box):
        with pytest.raises(PhotoRejected) as rejected:
            crop_face(scene(100, 100), box, SETTINGS)
        assert rejected.value.reason == "photo_too_small"

    def test_a_box_counts_in_the_upright_photo(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = scene(200, 100).transpose(Image.Transpose.ROTATE_90)
        face = face_of(stored(turned, exif=exif), (0, 0, 40, 20), PhotoSettings(size=64, margin=0, min_side=8))
        assert Image.open(io.BytesIO(face.jpeg)).getpixel((20, 20)) == pytest.approx(RED, abs=8)


class TestTheStoredFace:
    def test_is_a_jpeg_of_the_size_it_says(self):
        face = face_of(stored(scene(300, 300), "PNG"), None, SETTINGS)
        picture = Image.open(io.BytesIO(face.jpeg))
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (face.width, face.height))
        assert difference(picture, scene(300, 300).resize((64, 64), Image.Resampling.BOX)) < 5

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"optimize": True}])
    def test_a_jpeg_in_its_form_is_passed_through(self, options):
        data = stored(scene(60, 60), **options)
        face = face_of(data, None, SETTINGS)
        assert face.jpeg == data
        assert (face.height, face.width) == (60, 60)

    def test_passing_through_takes_out_camera_data_and_what_follows_the_picture(self):
        exif = Image.Exif()
        exif[0x010F] = "A camera"
        data = stored(scene(60, 60), exif=exif, comment=b"taken at home", icc_profile=b"x" * 500)
        face = face_of(data + b"hidden", None, SETTINGS)
        assert face.jpeg == stored(scene(60, 60))

    @pytest.mark.parametrize(
        ("picture", "options"),
        [
            (scene(60, 60).convert("L"), {}),
            (scene(60, 60).convert("CMYK"), {}),
            (scene(60, 50), {}),
            (scene(65, 65), {}),
            (scene(60, 60), {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"}),
        ],
        ids=["grey", "cmyk", "not square", "too large", "turned"],
    )
    def test_any_other_jpeg_is_encoded_anew(self, picture, options):
        data = stored(picture, **options)
        face = face_of(data, None, SETTINGS)
        assert face.jpeg != data
        assert Image.open(io.BytesIO(face.jpeg)).mode == "RGB"
        assert face.width == face.height <= 64

    def test_a_face_with_a_box_is_not_passed_through(self):
        data = stored(scene(60, 60))
        assert face_of(data, (0, 0, 30, 30), SETTINGS).jpeg != data

    def test_the_same_pixels_have_the_same_digest_however_they_were_stored(self):
        picture = Image.open(io.BytesIO(stored(scene(60, 60))))
        forms = [stored(picture, kind) for kind in ("PNG", "BMP", "TIFF")]
        forms += [stored(scene(60, 60)), stored(scene(60, 60), progressive=True)]
        assert len({face_of(data, None, SETTINGS).pixels for data in forms}) == 1
        assert face_of(stored(scene(60, 58)), None, SETTINGS).pixels != face_of(forms[0], None, SETTINGS).pixels

    def test_the_same_photo_gives_the_same_bytes(self):
        data = stored(scene(500, 400))
        assert face_of(data, None, SETTINGS) == face_of(data, None, SETTINGS)

    def test_a_large_photo_decoded_small_looks_as_if_decoded_whole(self):
        large = scene(1600, 1200)
        face = Image.open(io.BytesIO(face_of(stored(large), None, SETTINGS).jpeg))
        exact = crop_face(large, None, SETTINGS)
        assert difference(face, exact) < 4  # what JPEG costs is in it

    def test_a_narrow_photo_is_rejected_by_its_own_size_and_not_by_the_decoders(self):
        settings = PhotoSettings(size=64, min_side=100)
        assert face_of(stored(scene(1600, 100)), None, settings).width == 64
        assert reason_of(stored(scene(1600, 99)), settings) == "photo_too_small"
