"""From a photo to the faces on it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from components.detection.face import Detector
from components.photo import PhotoRejected, PhotoSettings, angle_of, crop_face


@dataclass(frozen=True, slots=True)
class Face:
    """A face ready for the model.

    Attributes:
        pixels: uint8 [side, side, 3] RGB, cropped as in training.
        box: left, top, right, bottom on the upright photo, whole pixels.
        score: of the detector; None where the whole picture is the face.
        angle: degrees, clockwise, by which the face stands turned on the photo, and was turned back.
    """

    pixels: np.ndarray
    box: tuple[int, int, int, int]
    score: float | None
    angle: float


def faces_of(photo: Image.Image, settings: PhotoSettings, detector: Detector | None) -> list[Face]:
    """The faces on a photo, from left to right; without a detector the whole picture is the one face.

    A detected face with fewer pixels than the settings ask for is left out.

    Raises:
        PhotoRejected: `photo_too_small`, for a picture that is to be the face.
    """
    if detector is None:
        angle = angle_of(photo, None, settings)
        pixels = np.asarray(crop_face(photo, None, settings, angle))
        return [Face(pixels, (0, 0, photo.width, photo.height), None, angle)]
    faces = []
    for detection in sorted(detector(photo), key=lambda face: (face.left, face.top)):
        box = detection.left, detection.top, detection.right, detection.bottom
        try:
            angle = angle_of(photo, box, settings, detection.turn)
            pixels = np.asarray(crop_face(photo, box, settings, angle))
        except PhotoRejected:
            continue
        left, top, right, bottom = (round(edge) for edge in box)
        within = max(left, 0), max(top, 0), min(right, photo.width), min(bottom, photo.height)
        faces.append(Face(pixels, within, detection.score, angle))
    return faces
