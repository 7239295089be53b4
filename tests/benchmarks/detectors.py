"""Face detectors on photos whose faces were counted by eye: the table in components/score/README.md.

    python tests/benchmarks/detectors.py

The photos are those of photos.zip in ../shared/data or where VISAGE_SHARED_DATA says. Speed is in photos a second of core
time, decoded already, the best of three rounds; speeds of one run can be compared with each other, and with nothing else.
Detectors of packages that Visage does not need (`pip install mediapipe==0.10.21 mtcnn==1.0.0`, on Python 3.11) are left out
where they are missing.
"""

import argparse
import csv
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GLOG_minloglevel", "3")

import numpy as np
from PIL import Image

PROJECT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("VISAGE_SHARED_DATA") or PROJECT.parent / "shared" / "data")
COUNTED = {"portraits": (1,), "small groups": (2, 3, 6), "selfie": (7,), "team": (25,), "none": (0,)}
"""Kinds of photos by the number of faces on them."""

ROUNDS = 3

Size = tuple[float, float]
Find = Callable[[Image.Image], list[Size]]
"""Width and height of the faces on a photo, pixels."""


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if not (SHARED / "photos.zip").is_file():
        raise SystemExit(f"There is no photos.zip in {SHARED}; VISAGE_SHARED_DATA names another folder.")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before the detectors' libraries count the cores
    from components.photo import PhotoSettings, open_photo

    settings = PhotoSettings()
    with zipfile.ZipFile(SHARED / "photos.zip") as archive, (SHARED / "photos.csv").open() as table:
        rows = list(csv.DictReader(table))
        photos = [open_photo(archive.read(row["path"]), settings) for row in rows]
    there = [int(row["faces"]) for row in rows]
    candidates: dict[str, Callable[[], Find]] = {
        "OpenCV, frontalface_alt2": cascade,
        "MediaPipe, full range": mediapipe,
        "mtcnn, at most 1024 pixels": mtcnn,
        "YuNet, at most 1024 pixels": yunet,
        "fast": lambda: ours("fast"),
        "thorough": lambda: ours("thorough"),
    }
    kinds = [f"{kind}, of {sum(n for n in there if n in numbers)}" for kind, numbers in COUNTED.items()]
    print(f"| detector | {' | '.join([*kinds, 'too many', 'photos/s'])} |\n|{' --- |' * (len(kinds) + 3)}")
    figures: dict[str, dict[str, float]] = {}
    for name, make in candidates.items():
        try:
            find = make()
        except ImportError as error:
            print(f"| {name}: left out, {error} |")
            continue
        figures[name] = measured(find, photos, there, settings.min_side)
        print(f"| {name} | {' | '.join(f'{figure:g}' for figure in figures[name].values())} |", flush=True)
    print(json.dumps(figures))


def measured(find: Find, photos: list[Image.Image], there: list[int], smallest: int) -> dict[str, float]:
    """Faces found on each kind of photo, faces more than there are, and photos a second of core time.

    Faces with a shorter side than `smallest` do not count, for they are not scored either. Nor is a face too many on the photo
    of the team, which has a blurred crowd behind it that nobody counted.
    """
    find(photos[0])
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        found = [sum(min(size) >= smallest for size in find(photo)) for photo in photos]
        seconds.append(time.process_time() - started)
    pairs = list(zip(found, there, strict=True))
    recall = {kind: sum(min(n, held) for n, held in pairs if held in numbers) for kind, numbers in COUNTED.items()}
    extra = sum(max(0, n - held) for n, held in pairs if held not in COUNTED["team"])
    return recall | {"too_many": extra, "photos_per_second": round(len(photos) / min(seconds), 2)}


def ours(kind: str) -> Find:
    from components.score.detect import detector

    find = detector(kind, None)
    return lambda photo: [(held.right - held.left, held.bottom - held.top) for held in find(photo)]


def yunet() -> Find:
    from components.score.yunet import network

    look = network(0.7)

    def find(photo: Image.Image) -> list[Size]:
        picture, scale = small(photo)
        return [((held.right - held.left) * scale, (held.bottom - held.top) * scale) for held in look(picture)]

    return find


def mediapipe() -> Find:
    from mediapipe.python.solutions.face_detection import FaceDetection

    model = FaceDetection(model_selection=1)

    def find(photo: Image.Image) -> list[Size]:
        found = model.process(np.asarray(photo)).detections or ()
        boxes = [held.location_data.relative_bounding_box for held in found]
        return [(box.width * photo.width, box.height * photo.height) for box in boxes]

    return find


def cascade() -> Find:
    import cv2
    from cv2.data import haarcascades

    model = cv2.CascadeClassifier(haarcascades + "haarcascade_frontalface_alt2.xml")

    def find(photo: Image.Image) -> list[Size]:
        picture, scale = small(photo)
        found = model.detectMultiScale(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 1.1, 5)
        return [(width * scale, height * scale) for _, _, width, height in found]

    return find


def mtcnn() -> Find:
    from mtcnn import MTCNN

    model = MTCNN()

    def find(photo: Image.Image) -> list[Size]:
        picture, scale = small(photo)
        found = [held["box"] for held in model.detect_faces(picture) or () if isinstance(held, dict)]
        return [(width * scale, height * scale) for _, _, width, height in found]

    return find


def small(photo: Image.Image) -> tuple[np.ndarray, float]:
    """The photo's pixels, at most 1024 a side, and how many of its own make one of them."""
    image = photo.copy()
    image.thumbnail((1024, 1024))
    return np.asarray(image), photo.height / image.height


if __name__ == "__main__":
    main()
