"""By how much a face stands turned on its photo: it is looked at for its eyes."""

import threading
from typing import TYPE_CHECKING

from PIL import Image

from components.photo.crop import Box, cut, square
from components.photo.settings import PhotoSettings

if TYPE_CHECKING:
    from components.detection.face import Detection, Detector

_SIDE = 320
"""The square around a face is looked at in so many pixels, a small one enlarged: of a leaning face of less than some 150 pixels,
the network puts the eyes where those of an upright one would be."""
_MARGIN = 0.4
"""What is looked at around a box, as a share of it: with the settings' margin a face might be small there, or cut off."""
_LEVEL = 5
"""Degrees. Of a large face too it sees some two thirds of the angle; the face is turned back by what was seen, and looked at
again until less than this was left to see."""
_LOOKS = 3
"""As often at most."""

_looking = threading.local()


def angle_of(photo: Image.Image, box: Box | None, settings: PhotoSettings, turn: int | None = None) -> float:
    """Degrees, clockwise, by which a face stands turned on the photo; 0 where the settings want no face turned.

    The detector looks at the square around the box, and of the faces there at the most certain one on its middle. Where it sees
    none, or the eyes tell nothing, the face is taken to stand upright.

    Args:
        photo: upright, as far as it says so.
        box: of the face; None where the whole picture is the face.
        settings: how faces are taken.
        turn: degrees, clockwise, by which the photo stands turned; None where whoever found the face has not looked for that.

    Returns:
        More than -180, at most 180, in tenths.

    Raises:
        PhotoRejected: `photo_too_small`.
        VisageError: the detector's weights are not what they should be.
    """
    if not settings.turn_faces:
        return 0.0
    from components.detection.face import LARGEST_LEAN, within_half_turn

    place = square(photo.size, box, settings.model_copy(update={"margin": _MARGIN}))
    if turn is None:
        face = _on_middle(cut(photo, *place, _SIDE), settings.turns) if settings.turns else None
        turn = face.turn if face else 0
    lean = 0.0
    for _ in range(_LOOKS if settings.align else 0):
        face = _on_middle(cut(photo, *place, _SIDE, turn + lean), ())
        correction = face.lean if face else 0.0
        lean += correction
        if abs(correction) < _LEVEL:
            break
    return within_half_turn(turn + lean if abs(lean) <= LARGEST_LEAN else turn)


def _on_middle(picture: Image.Image, turns: tuple[int, ...]) -> "Detection | None":
    """The most certain face on the middle of a picture, upright or in one of the turns."""
    detectors: dict[tuple[int, ...], Detector] = _looking.__dict__.setdefault("detectors", {})
    if turns not in detectors:
        detectors[turns] = _detector_of_the_middle(turns)
    return max(detectors[turns](picture), key=lambda face: face.score, default=None)


def _detector_of_the_middle(turns: tuple[int, ...]) -> "Detector":
    """A detector of this thread's own, as it must be."""
    from components.detection.detect import detector
    from components.detection.turns import in_turns

    find = detector("fast", None)

    def on_the_middle(picture: Image.Image) -> list["Detection"]:
        x, y = picture.width / 2, picture.height / 2
        return [face for face in find(picture) if face.left < x < face.right and face.top < y < face.bottom]

    return in_turns(on_the_middle, _SIDE, turns)
