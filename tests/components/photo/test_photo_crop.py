"""The face is a square around its box."""

import io

import numpy as np
import pytest
from PIL import Image

from components.photo import PhotoRejected, PhotoSettings, crop_face, face_of
from tests.components.photo.drawn_photos import RED, SETTINGS, difference, scene, stored


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
