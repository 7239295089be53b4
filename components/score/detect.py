"""Face detectors: `fast` and `thorough`. README.md beside this file says what was measured, and why these two.

Both run offline on weights that come inside their packages (the extra [detect]). A detector is for one thread at a time.
"""

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from components.score.faces import Detection, Detector
from schemas.error import VisageError


def detector(kind: str, min_score: float | None) -> Detector:
    """The detector of a kind.

    Args:
        kind: `fast` or `thorough`.
        min_score: a detection that is less certain is left out; None for the detector's own threshold.

    Raises:
        VisageError: its package is not installed.
    """
    return _fast(min_score) if kind == "fast" else _thorough(min_score)


FAST_SCORE = 0.5
_LARGEST = 1600
_OVERLAP = 0.25
_RIM = 0.02
"""A face closer to the edge of a tile, as a share of its side, is cut by it and found whole in the next one."""


def _fast(min_score: float | None) -> Detector:
    """MediaPipe's full-range BlazeFace (Bazarevsky et al., 2019), on the whole photo and on tiles of about half its side.

    It sees 192 x 192 pixels: what is small on the photo is found on a tile.
    """
    package: Any = _package("mediapipe.python.solutions.face_detection", "mediapipe")
    threshold = FAST_SCORE if min_score is None else min_score
    model = package.FaceDetection(model_selection=1, min_detection_confidence=min(threshold, FAST_SCORE))

    def find(photo: Image.Image) -> list[Detection]:
        small, scale = _shrunk(photo, _LARGEST)
        found = [
            held for left, top, tile in _tiles(small) for held in _inside(_blaze(model, tile), left, top, tile, small)
        ]
        # MediaPipe's own threshold has no effect above its default.
        return _distinct(_scaled(held, scale) for held in found if held.score >= threshold)

    return find


def _blaze(model: Any, picture: np.ndarray) -> Iterator[Detection]:
    height, width = picture.shape[:2]
    for held in model.process(np.ascontiguousarray(picture)).detections or ():
        box = held.location_data.relative_bounding_box
        left, top = box.xmin * width, box.ymin * height
        yield Detection(left, top, left + box.width * width, top + box.height * height, float(held.score[0]))


def _tiles(photo: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Left and top edge and pixels: of the whole photo, then of overlapping squares of 5/8 of its longer side."""
    yield 0, 0, photo
    height, width = photo.shape[:2]
    side = round(max(height, width) / 2 * (1 + _OVERLAP))
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield left, top, photo[top : top + side, left : left + side]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / (side * (1 - _OVERLAP))))
    return [int(start) for start in np.linspace(0, length - side, count)]


def _inside(
    found: Iterable[Detection], left: int, top: int, tile: np.ndarray, photo: np.ndarray
) -> Iterator[Detection]:
    """Detections of a tile on the photo, but for those that the tile's edge cuts and the photo's does not."""
    height, width = tile.shape[:2]
    rim = _RIM * max(height, width)
    for held in found:
        cut = (
            (left > 0 and held.left < rim)
            or (top > 0 and held.top < rim)
            or (left + width < photo.shape[1] and held.right > width - rim)
            or (top + height < photo.shape[0] and held.bottom > height - rim)
        )
        if not cut:
            yield Detection(held.left + left, held.top + top, held.right + left, held.bottom + top, held.score)


THOROUGH_SCORE = 0.95
_SHARP, _COARSE = 1024, 480
_SMALLEST = 24
_FRAME = 0.3
_SEEN = 0.4


def _thorough(min_score: float | None) -> Detector:
    """MTCNN (Zhang et al., IEEE Signal Processing Letters 2016), twice: sharp, and coarse with the photo mirrored at its edges.

    The frame of mirrored pixels makes faces that the edge cuts look whole.
    """
    package: Any = _package("mtcnn", "mtcnn")
    model = package.MTCNN()
    threshold = THOROUGH_SCORE if min_score is None else min_score

    def find(photo: Image.Image) -> list[Detection]:
        found = []
        for side, frame in ((_SHARP, 0.0), (_COARSE, _FRAME)):
            small, scale = _shrunk(photo, side)
            if min(small.shape[:2]) >= _SMALLEST:
                found += [_scaled(held, scale) for held in _framed(model, small, round(frame * max(small.shape[:2])))]
        return _distinct(held for held in found if held.score >= threshold)

    return find


def _framed(model: Any, photo: np.ndarray, frame: int) -> Iterator[Detection]:
    height, width = photo.shape[:2]
    framed = np.pad(photo, ((frame, frame), (frame, frame), (0, 0)), mode="reflect")
    for held in model.detect_faces(framed, fit_to_image=False) or ():
        if not isinstance(held, dict):  # without a face the package gives lists within lists
            continue
        left, top, across, down = held["box"]
        left, top = left - frame, top - frame
        seen_across = min(left + across, width) - max(left, 0)
        seen_down = min(top + down, height) - max(top, 0)
        # The mirror image of a face lies in the frame, the face itself for its larger part on the photo.
        if min(seen_across, seen_down) > 0 and seen_across * seen_down > _SEEN * across * down:
            yield Detection(left, top, left + across, top + down, float(held["confidence"]))


def _shrunk(photo: Image.Image, largest: int) -> tuple[np.ndarray, float]:
    """The photo's pixels with no side longer than `largest`, and how many of its own make one of them."""
    scale = max(1.0, max(photo.size) / largest)
    if scale > 1:
        size = max(1, round(photo.width / scale)), max(1, round(photo.height / scale))
        photo = photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(photo), scale


def _scaled(held: Detection, scale: float) -> Detection:
    return Detection(held.left * scale, held.top * scale, held.right * scale, held.bottom * scale, held.score)


_SAME_FACE, _WITHIN = 0.4, 0.7


def _distinct(found: Iterable[Detection]) -> list[Detection]:
    """One detection a face, the most certain one: of those that overlap, or lie within one another."""
    kept: list[Detection] = []
    for held in sorted(found, key=lambda one: (-one.score, one.left, one.top)):
        if not any(_is_same(held, other) for other in kept):
            kept.append(held)
    return kept


def _is_same(one: Detection, other: Detection) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    if across <= 0 or down <= 0:
        return False
    shared, areas = across * down, (_area(one), _area(other))
    return shared > _SAME_FACE * (sum(areas) - shared) or shared > _WITHIN * min(areas)


def _area(held: Detection) -> float:
    return (held.right - held.left) * (held.bottom - held.top)


def _package(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise VisageError(
            f"Faces cannot be looked for: {name} is not installed ({error}).",
            "Install it with `pip install 'visage[detect]'`; or, where every photo is one cropped face, say --faces whole.",
            usage=True,
        ) from error
