"""The stored form of a face."""

import io

import pytest
from PIL import Image

from components.photo import PhotoSettings, crop_face, face_of
from tests.components.photo.drawn_photos import SETTINGS, difference, reason_of, scene, stored


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

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
    def test_passing_through_takes_out_a_second_picture_behind_the_first(self, options):
        """Phones put depth maps and films there, cameras a second view (MPO); none of it was agreed to be stored."""
        data = stored(scene(60, 60), **options)
        assert face_of(data + stored(scene(30, 30)), None, SETTINGS).jpeg == data
        both = stored(scene(60, 60), "MPO", save_all=True, append_images=[scene(30, 30)], **options)
        assert len(face_of(both, None, SETTINGS).jpeg) < len(both) - len(stored(scene(30, 30))) / 2
        assert face_of(both, None, SETTINGS).jpeg.count(b"\xff\xd9") == 1

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
