"""A face that a detector found, and how it stands."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

Point = tuple[float, float]

LARGEST_LEAN = 60
"""Degrees. A head that leans by more can as well be one whose landmarks are wrong, or that stands turned by a quarter."""
SMALLEST_LEAN = 1
"""Degrees. Landmarks waver by as much, and turning costs a little sharpness."""
_EYES_APART = 0.2
"""Distance of the eyes, as a share of the longer side of the box, from which the line through them tells anything; of a face
seen from the front it is 0.3 to 0.5, of a profile it tends to 0."""


def within_half_turn(angle: float) -> float:
    """The angle of the same direction that is more than -180 and at most 180 degrees, in tenths."""
    angle = round(angle % 360, 1)
    return round(angle - 360, 1) if angle > 180 else angle


@dataclass(frozen=True, slots=True)
class Detection:
    """A face that a detector found: its box in pixels of the photo, and how sure the detector is, 0 to 1.

    Attributes:
        landmarks: (x, y) of the right eye (the person's own: the left one to see), left eye, tip of the nose, right and left
            corner of the mouth, in the same pixels; empty where they are not known.
        turn: degrees, clockwise, by which the photo with the face stands turned: 0, 90, 180 or 270.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float
    landmarks: tuple[Point, ...] = ()
    turn: int = 0

    def scaled(self, scale: float) -> "Detection":
        """The detection in pixels of which `scale` lie on one of its own."""
        return self._changed(lambda x, y: (x * scale, y * scale))

    def moved(self, right: float, down: float) -> "Detection":
        """The detection, moved by so many pixels."""
        return self._changed(lambda x, y: (x + right, y + down))

    def turned(self, turn: int, width: float, height: float) -> "Detection":
        """The detection on a photo of this width and height, of a face that was found when that photo was turned upright.

        Args:
            turn: degrees, clockwise, by which the photo stands turned.
            width: of the photo as it stands, pixels.
            height: of the photo as it stands, pixels.
        """
        place: dict[int, Callable[[float, float], Point]] = {
            0: lambda x, y: (x, y),
            90: lambda x, y: (width - y, x),
            180: lambda x, y: (width - x, height - y),
            270: lambda x, y: (y, height - x),
        }
        return self._changed(place[turn], (self.turn + turn) % 360)

    @property
    def lean(self) -> float:
        """Degrees, clockwise, by which the line through the eyes leans on the photo, turned upright: -60 to 60, in tenths.

        0 where it tells nothing: landmarks are not known, the eyes are too close to each other, as in profile, or the angle is
        beyond `LARGEST_LEAN` or under `SMALLEST_LEAN`.
        """
        if len(self.landmarks) < 2:
            return 0.0
        (x, y), (other_x, other_y) = self.landmarks[:2]
        across, down = other_x - x, other_y - y
        apart = math.hypot(across, down)
        side = max(self.right - self.left, self.bottom - self.top)
        if not math.isfinite(apart) or apart < _EYES_APART * side or apart == 0:
            return 0.0
        lean = within_half_turn(math.degrees(math.atan2(down, across)) - self.turn)
        return lean if SMALLEST_LEAN <= abs(lean) <= LARGEST_LEAN else 0.0

    def _changed(self, change: Callable[[float, float], Point], turn: int | None = None) -> "Detection":
        (x, y), (other_x, other_y) = change(self.left, self.top), change(self.right, self.bottom)
        box = min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)
        landmarks = tuple(change(x, y) for x, y in self.landmarks)
        return Detection(*box, self.score, landmarks, self.turn if turn is None else turn)


Detector = Callable[[Image.Image], Sequence[Detection]]
"""Finds the faces on an RGB photo."""
