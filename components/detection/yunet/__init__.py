"""YuNet (Wu et al., Machine Intelligence Research 2023; MIT, see LICENSE), computed by OpenCV: one look at one picture.

The weights lie beside this file. The network was trained on faces of about 10 to 300 pixels.
"""

import hashlib
from collections.abc import Callable
from importlib.resources import files

import numpy as np

from components.detection.face import Detection
from schemas.error import VisageError

WEIGHTS = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

_SAME_FACE = 0.3
"""Of the boxes of one look that overlap by more (intersection over union), the most certain one is kept; OpenCV's default."""
_MOST = 5000
_SMALLEST = 64
"""OpenCV (4.11, 4.13 and 4.14 were tried) computes boxes out of thin air where a side of the network's input is 32 pixels."""


def network(min_score: float) -> Callable[[np.ndarray], list[Detection]]:
    """The network, for one thread at a time.

    Args:
        min_score: a detection that is less certain is left out, 0 to 1.

    Returns:
        A function from pixels, uint8 [height, width, 3] RGB, to the faces on them. The same pixels give the same faces,
        whatever it saw before, on one thread or several.

    Raises:
        VisageError: the file of weights is not the one that belongs here.
    """
    import cv2

    # OpenCV's own threads, one for every core and process, would take the cores from the workers of a job.
    cv2.setNumThreads(1)
    nothing = np.empty(0, np.uint8)
    model = cv2.FaceDetectorYN.create("onnx", _weights(), nothing, (320, 320), min_score, _SAME_FACE, _MOST)

    def find(pixels: np.ndarray) -> list[Detection]:
        picture = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        height, width = picture.shape[:2]
        below, beside = max(0, _SMALLEST - height), max(0, _SMALLEST - width)
        if below or beside:
            picture = cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        model.setInputSize((width + beside, height + below))
        rows = model.detect(picture)[1]
        return [_detection(row) for row in rows if np.isfinite(row).all()] if rows is not None else []

    return find


def _detection(row: np.ndarray) -> Detection:
    """A row of OpenCV's: left, top, width, height, five points, score."""
    left, top, width, height, *points, score = (float(number) for number in row)
    marks = tuple(zip(points[::2], points[1::2], strict=True))
    return Detection(left, top, left + width, top + height, score, marks)


def _weights() -> np.ndarray:
    """The bytes of the weights: what is loaded is what was checked."""
    file = files(__package__) / WEIGHTS
    try:
        data = file.read_bytes()
    except OSError as error:
        raise VisageError(
            f"Faces cannot be looked for: {file} cannot be read ({error}).", "Install Visage anew."
        ) from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise VisageError(
            f"Faces cannot be looked for: {file} is not the file of weights that Visage came with (its SHA-256 differs).",
            "Install Visage anew.",
        )
    return np.frombuffer(data, np.uint8)
