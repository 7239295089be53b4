"""Face detectors: `fast` and `thorough`, by what they look at. README.md beside this file says what was measured.

Both look at shrunk copies of the photo, so what they take in memory does not grow with it. A detector is for one thread
at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from components.detection.face import Detection, Detector
from components.detection.shrunk import shrunk
from components.detection.turns import in_turns
from components.detection.yunet import network


@dataclass(frozen=True)
class Look:
    """One look of the network at the whole photo.

    Attributes:
        side: the photo is shrunk until no side is longer, pixels.
        score: a face that is less certain is left out.
        smallest: a face that is shorter on the shrunk photo is left to another look, pixels. The look is left out where
            the looks before found faces, and nothing of that size that might be one.
        largest: one that is longer as well.
        frame: width of the mirror image put around the shrunk photo, as a share of its longer side: it makes faces that the
            edge cuts look whole.
    """

    side: int
    score: float
    smallest: float = 0
    largest: float = float("inf")
    frame: float = 0


FAST = (
    Look(640, 0.7),
    # A face that fills the photo is larger than the network knows; half the size suits it.
    Look(320, 0.7, smallest=100),
)
THOROUGH = (
    *FAST,
    # Half a face and its mirror image look like a face rather easily.
    Look(320, 0.9, frame=0.2),
    # Fists and forearms, which look like faces when they are seen so large, came to 0.73.
    Look(1600, 0.8, largest=128),
)
LOOKS = {"fast": FAST, "thorough": THOROUGH}
_MIGHT_BE = 0.5
"""Score from which something might be a face."""


def detector(kind: str, min_score: float | None, turns: Sequence[int] = ()) -> Detector:
    """The detector of a kind.

    Args:
        kind: `fast` or `thorough`.
        min_score: a detection that is less certain is left out; None for the detector's own thresholds.
        turns: degrees, clockwise, by which photos may stand turned, of 90, 180 and 270.

    Raises:
        VisageError: the network's weights are not what they should be.
    """
    looks = LOOKS[kind]
    find = network(_MIGHT_BE if min_score is None else min(min_score, _MIGHT_BE))

    def faces(photo: Image.Image) -> list[Detection]:
        found: list[Detection] = []
        largest = 0.0
        for look, picture, scale in _pictures(photo, looks):
            if found and largest < look.smallest * scale:
                continue
            frame = round(look.frame * max(picture.shape[:2]))
            for face in _on_photo(find(_framed(picture, frame)), frame, picture.shape):
                certain = face.score >= (look.score if min_score is None else min_score)
                if certain and look.smallest <= _longer_side(face) <= look.largest:
                    found.append(face.scaled(scale))
                largest = max(largest, _longer_side(face) * scale)
        return _distinct(found)

    return in_turns(faces, max(look.side for look in looks), turns)


def _pictures(photo: Image.Image, looks: Iterable[Look]) -> Iterator[tuple[Look, np.ndarray, float]]:
    """For every look the shrunk photo and how many of the photo's pixels make one of its.

    A photo too small to be shrunk any further is not looked at in the same way twice.
    """
    smaller, scale = photo, 1.0
    seen = set()
    for look in looks:
        if max(smaller.size) < min(look.side, max(photo.size)):
            smaller, scale = photo, 1.0
        smaller, further = shrunk(smaller, look.side)
        scale *= further
        if (scale, look.frame) not in seen:
            seen.add((scale, look.frame))
            yield look, np.asarray(smaller), scale


def _framed(picture: np.ndarray, frame: int) -> np.ndarray:
    return np.pad(picture, ((frame, frame), (frame, frame), (0, 0)), mode="reflect") if frame else picture


_SEEN = 0.4


def _on_photo(found: Iterable[Detection], frame: int, shape: tuple[int, ...]) -> Iterator[Detection]:
    """Detections on a framed picture, as on the picture; those that lie for the most part on the frame are mirror images."""
    height, width = shape[:2]
    for face in found:
        moved = face.moved(-frame, -frame)
        across = min(moved.right, width) - max(moved.left, 0)
        down = min(moved.bottom, height) - max(moved.top, 0)
        if min(across, down) > 0 and across * down > _SEEN * _area(moved):
            yield moved


def _longer_side(face: Detection) -> float:
    return max(face.right - face.left, face.bottom - face.top)


_SAME_FACE, _WITHIN = 0.4, 0.7


def _distinct(found: Iterable[Detection]) -> list[Detection]:
    """One detection a face, the most certain one: of those that overlap, or lie within one another."""
    kept: list[Detection] = []
    for face in sorted(found, key=lambda one: (-one.score, one.left, one.top)):
        if not any(_is_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _is_same(one: Detection, other: Detection) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    if across <= 0 or down <= 0:
        return False
    shared, areas = across * down, (_area(one), _area(other))
    return shared > _SAME_FACE * (sum(areas) - shared) or shared > _WITHIN * min(areas)


def _area(face: Detection) -> float:
    return (face.right - face.left) * (face.bottom - face.top)
