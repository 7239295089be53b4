"""Photos that stand turned and do not say so."""

import numpy as np
import pytest
from PIL import Image

from components.detection.detect import detector
from tests.components.detection.drawn_faces import group
from tests.components.detection.real_photos import needs_photos, real_photos

ALL = (90, 180, 270)
TURNED = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
"""What turns a photo clockwise by so many degrees."""


@pytest.fixture(scope="module", params=["fast", "thorough"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def find(kind):
    return detector(kind, None, ALL)


class TestDrawnFaces:
    @pytest.mark.parametrize("turn", ALL)
    def test_on_a_turned_photo_are_found_where_they_are_and_told_to_be_turned(self, find, turn):
        photo = group((40, 60), (380, 300), (720, 20))
        upright = sorted((face.left, face.top, face.right, face.bottom) for face in find(photo))
        found = find(photo.transpose(TURNED[turn]))
        assert {face.turn for face in found} == {turn}
        width, height = photo.size
        again = {
            90: lambda face: (face.top, height - face.right, face.bottom, height - face.left),
            180: lambda face: (width - face.right, height - face.bottom, width - face.left, height - face.top),
            270: lambda face: (width - face.bottom, face.left, width - face.top, face.right),
        }[turn]
        np.testing.assert_allclose(sorted(map(again, found)), upright, atol=4)

    def test_upright_are_found_as_without_turns(self, kind, find):
        photo = group((40, 60), (720, 20))
        assert find(photo) == detector(kind, None)(photo)
        assert {face.turn for face in find(photo)} == {0}

    def test_are_sought_in_those_turns_only_that_are_named(self, kind):
        photo = group((40, 60), (380, 300)).transpose(TURNED[90])
        assert {face.turn for face in detector(kind, None, (90,))(photo)} == {90}
        assert 90 not in {face.turn for face in detector(kind, None, (180, 270))(photo)}

    def test_are_none_where_there_are_none(self, find):
        noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
        assert list(find(Image.fromarray(noise))) == [] == list(find(Image.new("RGB", (400, 300), (200, 200, 200))))

    @pytest.mark.parametrize("size", [(1, 1), (900, 1), (1, 900), (2500, 20), (30, 31), (32, 32), (640, 10)])
    def test_photos_of_any_shape_are_looked_at(self, find, size):
        assert list(find(Image.new("RGB", size))) == []

    def test_on_a_large_turned_photo_are_given_in_its_own_pixels(self, find):
        (face,) = find(group((380, 200)).resize((4000, 2400)).transpose(TURNED[90]))
        assert face.turn == 90
        assert 2400 - 1760 <= face.left < face.right <= 2400 - 800 and 1520 <= face.top < face.bottom <= 2480

    def test_are_many_on_a_turned_photo_of_many(self):
        places = [(left, top) for left in range(0, 2640, 240) for top in range(0, 2400, 240)]
        crowd = group(*places, size=(2640, 2400)).transpose(TURNED[180])
        found = detector("thorough", None, ALL)(crowd)
        assert len(found) == len(places) and {face.turn for face in found} == {180}


@needs_photos
@pytest.mark.slow
class TestRealPhotos:
    """Against faces counted by eye; components/detection/README.md has the whole table."""

    @pytest.fixture(scope="class")
    @staticmethod
    def photos() -> list[tuple[dict, Image.Image]]:
        return real_photos()

    def test_upright_photos_do_not_change(self, photos):
        plain, find = detector("fast", None), detector("fast", None, ALL)
        for row, photo in photos:
            assert find(photo) == plain(photo), row["path"]

    @pytest.mark.parametrize("turn", ALL)
    def test_turned_ones_have_the_faces_that_they_have_upright(self, photos, turn):
        plain, find = detector("fast", None), detector("fast", None, ALL)
        for row, photo in photos:
            found = find(photo.transpose(TURNED[turn]))
            assert {face.turn for face in found} <= {turn}, row["path"]
            assert len(found) == len(plain(photo)), row["path"]
