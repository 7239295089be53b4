"""A found face: its place on the photo as it stands, and the angle it stands at."""

import math

import pytest
from PIL import Image

from components.detection.face import Detection, within_half_turn

TURNS = {0: None, 90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def face(lean: float = 0, apart: float = 40, turn: int = 0) -> Detection:
    """A face of 100 pixels whose left eye is `apart` pixels from the right one, in the direction of `lean` degrees, clockwise."""
    across, down = apart * math.cos(math.radians(lean)), apart * math.sin(math.radians(lean))
    eyes = ((130.0, 140.0), (130 + across, 140 + down))
    return Detection(100, 100, 200, 200, 0.9, (*eyes, (150, 160), (135, 180), (165, 180)), turn)


class TestTheLean:
    @pytest.mark.parametrize("lean", [-59.5, -20, -1.5, 1.5, 12.3, 59.5])
    def test_is_that_of_the_line_through_the_eyes(self, lean):
        assert face(lean).lean == lean

    @pytest.mark.parametrize(
        "found",
        [
            face(61),
            face(-80),
            face(180),
            face(0.9),
            face(20, apart=19),
            face(20, apart=0),
            face(20, apart=math.inf),
            Detection(0, 0, 100, 100, 0.9),
            Detection(5, 5, 5, 5, 0.9, ((5, 5), (5, 5))),
            Detection(0, 0, 100, 100, 0.9, ((math.nan, 0), (30, 20))),
        ],
        ids=[
            "more than anybody leans",
            "to the other side",
            "on its head",
            "next to nothing",
            "in profile",
            "eyes on one point",
            "an eye nowhere",
            "no landmarks",
            "a box of nothing",
            "no number",
        ],
    )
    def test_is_nothing_where_the_eyes_tell_nothing(self, found):
        assert found.lean == 0

    def test_counts_eyes_beyond_the_edge_of_the_photo_like_others(self):
        assert Detection(-50, -50, 50, 50, 0.9, ((-20, -10), (20, 0))).lean == 14

    @pytest.mark.parametrize("turn", [90, 180, 270])
    def test_on_a_turned_photo_is_that_on_the_photo_turned_upright(self, turn):
        assert face(turn + 10, turn=turn).lean == 10
        assert face(turn - 10, turn=turn).lean == -10
        assert face(0, turn=turn).lean == 0, "landmarks as of an upright face tell nothing there"


@pytest.mark.parametrize(
    ("angle", "same"),
    [(0, 0), (180, 180), (-180, 180), (190, -170), (-90, -90), (270, -90), (359.97, 0), (12.34, 12.3)],
)
def test_every_direction_is_one_angle(angle, same):
    assert within_half_turn(angle) == same


class TestTheFaceOnAPhotoThatStandsTurned:
    @pytest.mark.parametrize("turn", [0, 90, 180, 270])
    def test_lies_where_the_photo_has_it(self, turn):
        photo = Image.new("L", (300, 200))
        photo.paste(255, (40, 50, 100, 90))
        back = TURNS[turn]
        left, top, right, bottom = (photo.transpose(back) if back is not None else photo).getbbox() or (0, 0, 0, 0)
        found = Detection(left, top, right, bottom, 0.9, ((left + 5.0, top + 9.0),))
        turned = found.turned(turn, *photo.size)
        assert (turned.left, turned.top, turned.right, turned.bottom) == (40, 50, 100, 90)
        assert turned.turn == turn
        (x, y) = turned.landmarks[0]
        assert (x, y) == {0: (45, 59), 90: (91, 55), 180: (95, 81), 270: (49, 85)}[turn]

    def test_keeps_its_turn_when_it_is_moved_and_scaled(self):
        turned = face().turned(90, 400, 300).scaled(2).moved(1, 2)
        assert turned.turn == 90 and (turned.left, turned.top) == (2 * (400 - 200) + 1, 2 * 100 + 2)
