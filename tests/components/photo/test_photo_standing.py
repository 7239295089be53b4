"""Faces that stand turned: looked for their eyes where the settings ask for it, and turned back."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.photo import PhotoRejected, PhotoSettings, angle_of, crop_face, face_of
from tests.components.detection.drawn_faces import jpeg, portrait
from tests.components.photo.drawn_photos import difference, scene, stored

PROJECT = Path(__file__).parents[3]
ALIGN = PhotoSettings(align=True)
TURNS = PhotoSettings(turns=(90, 180, 270))
BOTH = PhotoSettings(align=True, turns=(90, 180, 270))
BOX = (230, 130, 330, 250)
"""Of the face on `leaning`."""


def leaning(angle: float) -> Image.Image:
    """A grey photo with a face on it that leans by so many degrees, clockwise; upright if it is 0."""
    photo = Image.new("RGB", (560, 380), (120, 125, 130))
    photo.paste(portrait(), (160, 70))
    return photo.rotate(-angle, Image.Resampling.BICUBIC, center=(280, 190), fillcolor=(120, 125, 130))


class TestTheAngle:
    @pytest.mark.parametrize("angle", [-30, -12, 8, 25])
    def test_of_a_face_in_a_box_is_seen_by_its_eyes(self, angle):
        level = angle_of(leaning(0), BOX, ALIGN)
        assert angle_of(leaning(angle), BOX, ALIGN) == pytest.approx(level + angle, abs=4)

    def test_of_a_whole_picture_is_seen_as_well(self):
        level, face = (leaning(angle).crop((180, 90, 380, 290)) for angle in (0, 20))
        assert angle_of(face, None, ALIGN) - angle_of(level, None, ALIGN) == pytest.approx(20, abs=5)

    @pytest.mark.parametrize("turn", [90, 180, -90])
    def test_of_a_turned_photo_is_its_turn(self, turn):
        photo = leaning(0).crop((90, 0, 470, 380)).rotate(-turn)
        box = (140, 130, 240, 250)
        assert angle_of(photo, box, TURNS) == turn
        assert (angle_of(photo, box, BOTH) - turn + 180) % 360 - 180 == pytest.approx(0, abs=5)
        assert abs(angle_of(photo, box, ALIGN)) <= 60

    def test_of_a_small_face_is_seen_as_well_as_of_a_large_one(self):
        level, small = (leaning(angle).resize((140, 95), Image.Resampling.BOX) for angle in (0, 20))
        box = 57.5, 32.5, 82.5, 62.5
        assert angle_of(small, box, ALIGN) - angle_of(level, box, ALIGN) == pytest.approx(20, abs=6)

    def test_does_not_depend_on_the_margin_that_is_cut_out_with_the_face(self):
        for margin in (0, 2):
            assert angle_of(leaning(20), BOX, PhotoSettings(align=True, margin=margin)) == angle_of(
                leaning(20), BOX, ALIGN
            )

    def test_starts_from_the_turn_that_is_known(self):
        photo = leaning(0).crop((90, 0, 470, 380)).rotate(-90)
        box = (140, 130, 240, 250)
        assert angle_of(photo, box, TURNS, turn=0) == 0 and angle_of(photo, box, TURNS, turn=270) == -90
        assert angle_of(photo, box, BOTH, turn=90) == angle_of(photo, box, BOTH)

    def test_is_nothing_unless_the_settings_ask(self):
        assert angle_of(leaning(30), BOX, PhotoSettings()) == 0

    @pytest.mark.parametrize(
        "box", [(100, 10, 300, 210), (400, 10, 540, 140), (0, 0, 30, 30), (-400, -400, 40, 40), None]
    )
    def test_is_nothing_where_no_face_is_on_the_middle(self, box):
        photo = leaning(30) if box else scene(300, 200)
        assert angle_of(photo, box, BOTH) == 0

    def test_is_that_of_the_face_in_the_box_and_not_of_its_neighbour(self):
        photo = Image.new("RGB", (1000, 400), (120, 125, 130))
        photo.paste(portrait(), (80, 80))
        photo.paste(leaning(30).crop((160, 70, 400, 310)), (330, 80))
        plain = angle_of(photo, (150, 140, 250, 260), ALIGN)
        assert angle_of(photo, (400, 140, 500, 260), ALIGN) - plain == pytest.approx(30, abs=5)

    @pytest.mark.parametrize("size", [(20, 20), (20, 3000), (3000, 20), (33, 31)])
    def test_of_tiny_and_narrow_pictures_is_asked_for_too(self, size):
        assert angle_of(Image.new("RGB", size), None, BOTH) == 0

    def test_of_too_small_a_face_is_not_asked_for(self):
        with pytest.raises(PhotoRejected):
            angle_of(leaning(0), (10, 10, 20, 20), BOTH)

    def test_is_the_same_on_any_thread(self):
        photos = [leaning(angle) for angle in (-20, -10, 10, 20)]
        alone = [angle_of(photo, BOX, ALIGN) for photo in photos]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda photo: angle_of(photo, BOX, ALIGN), photos * 2)) == alone * 2

    def test_costs_no_import_where_nobody_asks(self):
        code = (
            "import sys, io; from PIL import Image; from components.photo import PhotoSettings, face_of\n"
            "held = io.BytesIO(); Image.new('RGB', (40, 60)).save(held, 'PNG')\n"
            "face_of(held.getvalue(), None, PhotoSettings())\n"
            "assert 'cv2' not in sys.modules and not [name for name in sys.modules if 'detection' in name]"
        )
        subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


class TestTheTurnedFace:
    @pytest.mark.parametrize("angle", [-170, -90, -44, -17.5, 3, 45, 90, 130, 180])
    def test_looks_as_if_it_had_stood_upright(self, angle):
        settings = PhotoSettings(size=64, margin=0.2)
        expected = crop_face(scene(400, 400), (150, 150, 250, 250), settings)
        turned = scene(400, 400).rotate(-angle, Image.Resampling.BICUBIC)
        face = crop_face(turned, (150, 150, 250, 250), settings, angle)
        assert face.size == (64, 64)
        assert difference(face, expected) < 2 < difference(crop_face(turned, (150, 150, 250, 250), settings), expected)

    @pytest.mark.parametrize(("angle", "back"), [(90, 90), (180, 180), (-90, 270), (270, 270)])
    def test_by_quarters_keeps_its_pixels(self, angle, back):
        settings = PhotoSettings(size=1024, margin=0)
        face = crop_face(scene(120, 120), (20, 20, 80, 80), settings, angle)
        assert np.array_equal(np.asarray(face), np.asarray(scene(120, 120).crop((20, 20, 80, 80)).rotate(back)))

    def test_repeats_the_edge_of_the_photo_and_has_no_black_corners(self):
        white = Image.new("RGB", (100, 100), (255, 255, 255))
        for box in (None, (50, 60, 100, 110)):
            assert np.asarray(crop_face(white, box, PhotoSettings(size=48), 30)).min() == 255

    def test_of_a_box_of_half_the_world_needs_no_memory(self):
        assert crop_face(scene(100, 100), (-1e9, -1e9, 1e9, 1e9), PhotoSettings(size=64), 30).size == (64, 64)

    def test_is_no_larger_than_it_was(self):
        assert crop_face(scene(40, 40), None, PhotoSettings(size=64), 30).size == (40, 40)


class TestTheStoredFace:
    def test_has_level_eyes(self):
        plain, level = (face_of(jpeg(leaning(20)), BOX, settings) for settings in (PhotoSettings(), ALIGN))
        for face, angle in ((plain, 20), (level, 0)):
            assert angle_of(Image.open(io.BytesIO(face.jpeg)), None, ALIGN) == pytest.approx(angle, abs=6)
        assert plain.pixels != level.pixels and (level.width, level.height) == (plain.width, plain.height)

    def test_is_the_crop_that_score_makes_of_the_same_photo(self):
        photo = Image.open(io.BytesIO(stored(leaning(20), "PNG")))
        angle = angle_of(photo, BOX, ALIGN)
        face = face_of(stored(leaning(20), "PNG"), BOX, ALIGN)
        assert difference(Image.open(io.BytesIO(face.jpeg)), crop_face(photo, BOX, ALIGN, angle)) < 3

    def test_turned_by_camera_data_is_upright_already(self):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
        data = stored(leaning(0).transpose(Image.Transpose.ROTATE_90), exif=exif)
        by_camera, upright = face_of(data, BOX, TURNS), face_of(jpeg(leaning(0)), BOX, TURNS)
        assert difference(*(Image.open(io.BytesIO(face.jpeg)) for face in (by_camera, upright))) < 3

    def test_in_its_form_is_passed_through_unless_it_stands_turned(self):
        settings = PhotoSettings(size=128, align=True, turns=(90, 180, 270))
        face = leaning(0).crop((180, 90, 380, 290)).resize((128, 128))
        for turn in (90, 180, 270):
            data = stored(face.rotate(-turn))
            assert face_of(data, None, PhotoSettings(size=128)).jpeg == data
            back = Image.open(io.BytesIO(face_of(data, None, settings).jpeg))
            assert difference(back, face) < difference(Image.open(io.BytesIO(data)), face) / 2
        nobody = stored(scene(64, 64))
        assert face_of(nobody, None, settings).jpeg == nobody

    @pytest.mark.parametrize("picture", [Image.new("L", (60, 60), 128), scene(24, 24), Image.new("RGB", (4000, 3500))])
    def test_of_pictures_without_a_face_is_what_it_is_without_the_settings(self, picture):
        data = stored(picture)
        assert face_of(data, None, BOTH) == face_of(data, None, PhotoSettings())
