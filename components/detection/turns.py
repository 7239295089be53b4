"""Faces on photos that stand turned and do not say so: the photo is looked at in other turns as well.

A network that was trained on upright faces finds some of those that stand turned too, with less certainty, and puts their
landmarks where those of an upright face would be. So neither what it finds nor where it sees the eyes tells which way up a
photo is; how sure it is of all faces together, in one turn beside the others, does. README.md beside this file says what was
measured.
"""

from collections.abc import Sequence

from PIL import Image

from components.detection.face import Detection, Detector
from components.detection.shrunk import shrunk

_BACK = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
"""What turns a photo upright that stands turned clockwise by so many degrees."""

_UPRIGHT = 0.92
"""With a face of this score the photo is upright, and no other turn is tried."""
_CERTAIN = 0.8
"""Score that one face must have for its turn to count: four turns are four chances to take something else for a face."""


def in_turns(find: Detector, side: int, turns: Sequence[int]) -> Detector:
    """A detector that looks at a photo in other turns too, where no face is certain, and tells the faces of the likeliest turn.

    Args:
        find: of upright faces.
        side: pixels; it looks at no photo that is larger.
        turns: degrees, clockwise, by which photos may stand turned: 90, 180, 270. Empty for `find` itself.
    """
    if not turns:
        return find

    def faces(photo: Image.Image) -> Sequence[Detection]:
        likeliest = find(photo)
        if _best(likeliest) >= _UPRIGHT:
            return likeliest
        smaller, scale = shrunk(photo, side)
        for turn in turns:
            found = find(smaller.transpose(_BACK[turn]))
            if _best(found) >= _CERTAIN and _total(found) > _total(likeliest):
                likeliest = [face.turned(turn, *smaller.size).scaled(scale) for face in found]
        return likeliest

    return faces


def _best(found: Sequence[Detection]) -> float:
    return max((face.score for face in found), default=0.0)


def _total(found: Sequence[Detection]) -> float:
    return sum(face.score for face in found)
