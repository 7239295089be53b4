"""From a photo's bytes to the faces on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from components.photo import PhotoRejected, PhotoSettings, crop_face


@dataclass(frozen=True, slots=True)
class Detection:
    """A face that a detector found: its box in pixels of the upright photo, and how sure the detector is, 0 to 1.

    Attributes:
        landmarks: (x, y) of the right eye (the person's own: the left one to see), left eye, tip of the nose, right and left
            corner of the mouth, in the same pixels; empty where they are not known.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float
    landmarks: tuple[tuple[float, float], ...] = ()

    def scaled(self, scale: float) -> "Detection":
        """The detection in pixels of which `scale` lie on one of its own."""
        return self._changed(lambda x, y: (x * scale, y * scale))

    def moved(self, right: float, down: float) -> "Detection":
        """The detection, moved by so many pixels."""
        return self._changed(lambda x, y: (x + right, y + down))

    def _changed(self, change: Callable[[float, float], tuple[float, float]]) -> "Detection":
        corners = (*change(self.left, self.top), *change(self.right, self.bottom))
        return Detection(*corners, self.score, tuple(change(x, y) for x, y in self.landmarks))


Detector = Callable[[Image.Image], Sequence[Detection]]
"""Finds the faces on an upright RGB photo."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face ready for the model.

    Attributes:
        pixels: uint8 [side, side, 3] RGB, cropped as in training.
        box: left, top, right, bottom on the upright photo, whole pixels.
        score: of the detector; None where the whole picture is the face.
    """

    pixels: np.ndarray
    box: tuple[int, int, int, int]
    score: float | None


def faces_of(photo: Image.Image, settings: PhotoSettings, detector: Detector | None) -> list[Face]:
    """The faces on a photo, from left to right; without a detector the whole picture is the one face.

    A detected face with fewer pixels than the settings ask for is left out.

    Raises:
        PhotoRejected: `photo_too_small`, for a picture that is to be the face.
    """
    if detector is None:
        return [Face(np.asarray(crop_face(photo, None, settings)), (0, 0, photo.width, photo.height), None)]
    faces = []
    for found in sorted(detector(photo), key=lambda held: (held.left, held.top)):
        box = found.left, found.top, found.right, found.bottom
        try:
            pixels = np.asarray(crop_face(photo, box, settings))
        except PhotoRejected:
            continue
        left, top, right, bottom = (round(edge) for edge in box)
        faces.append(
            Face(pixels, (max(left, 0), max(top, 0), min(right, photo.width), min(bottom, photo.height)), found.score)
        )
    return faces
