"""Face detectors on photos whose faces were counted by eye: the tables in components/detection/README.md.

    python tests/benchmarks/detectors.py

The photos are those of photos.zip in ../shared/data or where VISAGE_SHARED_DATA says. Speed is in photos a second of core
time, decoded already, the better of two rounds; speeds of one run can be compared with each other, and with nothing else.
Detectors of packages that Visage does not need (`pip install mediapipe==0.10.21 mtcnn==1.0.0`, on Python 3.11) are left out
where they are missing.

Then the same photos turned by 90, 180 and 270 degrees, without a word of it in their camera data, by `fast` and `thorough`, with
and without `photo.turns`; how well `photo.align` sees by how much a portrait leans that was turned by a known angle; and what
both settings cost. At last what is found of faces of UTKFace (utkface_10k.zip in the same place) that are turned, and what is
seen of some that lean.
"""

import argparse
import csv
import io
import json
import os
import random
import statistics
import time
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GLOG_minloglevel", "3")

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from components.photo import PhotoSettings

PROJECT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("VISAGE_SHARED_DATA") or PROJECT.parent / "shared" / "data")
COUNTED = {"portraits": (1,), "small groups": (2, 3, 6), "selfie": (7,), "team": (25,), "none": (0,)}
"""Kinds of photos by the number of faces on them."""

TURNS = (90, 180, 270)
LEANS = (-40, -25, -10, 10, 25, 40)
"""Degrees, clockwise."""

ROUNDS = 2

TABLES = ("detectors", "turned", "leaning", "faces", "utkface_turned", "utkface_leaning")

Size = tuple[float, float]
Find = Callable[[Image.Image], list[Size]]
"""Width and height of the faces on a photo, pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=TABLES, default=TABLES, help="the tables to make; all if not given"
    )
    names = parser.parse_args().only
    if not (SHARED / "photos.zip").is_file():
        raise SystemExit(f"There is no photos.zip in {SHARED}; VISAGE_SHARED_DATA names another folder.")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before the detectors' libraries count the cores
    from components.photo import PhotoSettings, open_photo

    settings = PhotoSettings()
    with zipfile.ZipFile(SHARED / "photos.zip") as archive, (SHARED / "photos.csv").open() as table:
        rows = list(csv.DictReader(table))
        photos = [open_photo(archive.read(row["path"]), settings) for row in rows]
    face_counts = [int(row["faces"]) for row in rows]
    portraits = [photo for photo, number in zip(photos, face_counts, strict=True) if number == 1]
    tables = {
        "detectors": detectors(photos, face_counts, settings.min_side),
        "turned": turned_photos(photos, face_counts, settings.min_side),
        "leaning": leaning_portraits(portraits, settings),
        "faces": photos_to_faces(photos, settings),
        "utkface_turned": turned_faces(),
        "utkface_leaning": leaning_faces(),
    }
    print(json.dumps({name: print_table(name, tables[name]) for name in names}))


def detectors(
    photos: list[Image.Image], face_counts: list[int], smallest: int
) -> Iterable[tuple[str, dict[str, float]]]:
    """Faces found by one detector and another on the photos as they are, and their speed."""
    candidates: dict[str, Callable[[], Find]] = {
        "OpenCV, frontalface_alt2": cascade,
        "MediaPipe, full range": mediapipe,
        "mtcnn, at most 1024 pixels": mtcnn,
        "YuNet, at most 1024 pixels": yunet,
        "fast": lambda: ours("fast"),
        "fast, in turns": lambda: ours("fast", TURNS),
        "thorough": lambda: ours("thorough"),
        "thorough, in turns": lambda: ours("thorough", TURNS),
    }
    for name, make in candidates.items():
        try:
            find = make()
        except ImportError as error:
            print(f"{name}: left out, {error}")
            continue
        yield name, measured(find, photos, face_counts, smallest)


def print_table(title: str, rows: Iterable[tuple[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Print the rows of a table as they come; gives them all."""
    table: dict[str, dict[str, float]] = {}
    for name, figures in rows:
        if not table:
            print(f"\n| {title} | {' | '.join(figures)} |\n|{' --- |' * (len(figures) + 1)}")
        table[name] = figures
        print(f"| {name} | {' | '.join(f'{figure:g}' for figure in figures.values())} |", flush=True)
    return table


def measured(find: Find, photos: list[Image.Image], face_counts: list[int], smallest: int) -> dict[str, float]:
    """Faces found on each kind of photo, faces more than there are, and photos a second of core time."""
    find(photos[0])
    sizes, seconds = [], []
    for _ in range(ROUNDS):
        started = time.process_time()
        sizes = [find(photo) for photo in photos]
        seconds.append(time.process_time() - started)
    return counted(sizes, face_counts, smallest) | {"photos_per_second": round(len(photos) / min(seconds), 2)}


def counted(found_sizes: list[list[Size]], face_counts: list[int], smallest: int) -> dict[str, float]:
    """Faces found on each kind of photo, and faces more than there are.

    Faces with a shorter side than `smallest` do not count, for they are not scored either. Nor is a face too many on the photo
    of the team, which has a blurred crowd behind it that nobody counted.
    """
    pairs = [
        (sum(min(size) >= smallest for size in sizes), count)
        for sizes, count in zip(found_sizes, face_counts, strict=True)
    ]
    recall: dict[str, float] = {
        f"{kind}, of {sum(n for n in face_counts if n in numbers)}": sum(
            min(n, count) for n, count in pairs if count in numbers
        )
        for kind, numbers in COUNTED.items()
    }
    extra = sum(max(0, n - count) for n, count in pairs if count not in COUNTED["team"])
    return recall | {"too_many": extra}


def turned_photos(
    photos: list[Image.Image], face_counts: list[int], smallest: int
) -> Iterable[tuple[str, dict[str, float]]]:
    """The photos turned clockwise: faces found, and how many of them were taken for faces turned otherwise."""
    from components.detection.detect import detector

    for kind in ("fast", "thorough"):
        for turns in ((), TURNS):
            find = detector(kind, None, turns)
            for turn in (0, *TURNS):
                found_faces = [find(photo.rotate(-turn, expand=True)) for photo in photos]
                sizes = [[(face.right - face.left, face.bottom - face.top) for face in faces] for faces in found_faces]
                otherwise = sum(face.turn != turn for faces in found_faces for face in faces)
                name = f"{kind}{', in turns' if turns else ''}: turned by {turn}"
                yield name, counted(sizes, face_counts, smallest) | {"taken_to_be_turned_otherwise": otherwise}


def leaning_portraits(portraits: list[Image.Image], plain: "PhotoSettings") -> Iterable[tuple[str, dict[str, float]]]:
    """Portraits turned clockwise by an angle: by how many degrees what is seen of it is wrong, held against the photo as it was.

    With `turns` a portrait may also be taken for one that stands turned by a quarter.
    """
    from components.detection.detect import detector
    from components.detection.face import within_half_turn
    from components.score.faces import faces_of

    smaller = [small_photo(photo) for photo in portraits]
    for name, turns in (("align", ()), ("align and turns", TURNS)):
        settings = plain.model_copy(update={"align": True, "turns": turns})
        find = detector("fast", None, turns)
        upright = [faces_of(photo, settings, find) for photo in smaller]
        for lean in LEANS:
            errors = []
            for photo, before in zip(smaller, upright, strict=True):
                leaning = faces_of(photo.rotate(-lean, Image.Resampling.BICUBIC, expand=True), settings, find)
                if before and leaning:
                    first, second = (max(faces, key=lambda face: face.score or 0) for faces in (before, leaning))
                    errors.append(abs(within_half_turn(second.angle - first.angle - lean)))
            yield (
                f"{name}: by {lean}",
                {"found": len(errors), "median": round(statistics.median(errors), 1), "most": round(max(errors), 1)},
            )


def utkface(count: int, seed: int) -> Iterable[Image.Image]:
    """So many faces of UTKFace, which fill their pictures."""
    with zipfile.ZipFile(SHARED / "utkface_10k.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        random.Random(seed).shuffle(names)
        for name in names[:count]:
            yield Image.open(io.BytesIO(archive.read(name))).convert("RGB")


def turned_faces() -> Iterable[tuple[str, dict[str, float]]]:
    """What `fast` finds, as if they were upright, of 1,000 faces that are turned, and of how many a turn has the best sum."""
    from components.detection.detect import detector

    find = detector("fast", None)
    scores = [
        [[face_found.score for face_found in find(face.rotate(-turn))] for turn in (0, *TURNS)]
        for face in utkface(1000, seed=7)
    ]
    for position, turn in enumerate((0, *TURNS)):
        best = [max(of_turns[position], default=0.0) for of_turns in scores]
        likeliest = sum(max(range(4), key=lambda number: sum(of_turns[number])) == position for of_turns in scores)
        certain = sum(score >= 0.92 for score in best)
        yield f"by {turn}", {"found": sum(map(bool, best)), "0.92": certain, "most": max(best), "best_sum": likeliest}


def leaning_faces() -> Iterable[tuple[str, dict[str, float]]]:
    """By how many degrees what is seen of 200 faces that were turned by an angle is wrong, as if they had been level."""
    from components.photo import PhotoSettings, angle_of

    align, both = PhotoSettings(align=True), PhotoSettings(align=True, turns=TURNS)
    for lean in (0, 15, 30, 40):
        errors, otherwise = [], 0
        for face in utkface(200, seed=8):
            wider = Image.fromarray(np.pad(np.asarray(face), ((100, 100), (100, 100), (0, 0)), mode="edge"))
            turned = wider.rotate(-lean, Image.Resampling.BICUBIC).crop((100, 100, 300, 300))
            errors.append(abs(angle_of(turned, None, align) - lean))
            otherwise += abs(angle_of(turned, None, both) - lean) > 50
        nine_of_ten = float(np.quantile(errors, 0.9))
        yield (
            f"by {lean}",
            {"median": statistics.median(errors), "nine_of_ten": nine_of_ten, "taken_for_a_quarter": otherwise},
        )


def photos_to_faces(photos: list[Image.Image], plain: "PhotoSettings") -> Iterable[tuple[str, dict[str, float]]]:
    """Photos a second of core time from decoded photos to cropped faces: as score takes them, and as ingest does."""
    from components.detection.detect import detector
    from components.photo import angle_of, crop_face
    from components.score.faces import faces_of

    boxes = [[face.box for face in faces_of(photo, plain, detector("fast", None))] for photo in photos]

    def crop_boxes(settings: "PhotoSettings") -> None:
        for photo, photo_boxes in zip(photos, boxes, strict=True):
            for box in photo_boxes:
                crop_face(photo, box, settings, angle_of(photo, box, settings))

    def find_faces(kind: str, settings: "PhotoSettings") -> None:
        find = detector(kind, None, settings.turns)
        for photo in photos:
            faces_of(photo, settings, find)

    chosen = {
        "": plain,
        ", align": plain.model_copy(update={"align": True}),
        ", turns": plain.model_copy(update={"turns": TURNS}),
    }
    tasks: dict[str, Callable[[], None]] = {}
    for name, settings in chosen.items():
        tasks |= {f"{kind}{name}": partial(find_faces, kind, settings) for kind in ("fast", "thorough")}
        tasks[f"boxes given{name}"] = partial(crop_boxes, settings)
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            started = time.process_time()
            task()
            seconds[name].append(time.process_time() - started)
    for name, times in seconds.items():
        yield name, {"photos_per_second": round(len(photos) / min(times), 2)}


def ours(kind: str, turns: tuple[int, ...] = ()) -> Find:
    from components.detection.detect import detector

    find = detector(kind, None, turns)
    return lambda photo: [(face.right - face.left, face.bottom - face.top) for face in find(photo)]


def yunet() -> Find:
    from components.detection.yunet import network

    find_faces = network(0.7)

    def find(photo: Image.Image) -> list[Size]:
        picture, scale = small(photo)
        return [((face.right - face.left) * scale, (face.bottom - face.top) * scale) for face in find_faces(picture)]

    return find


def mediapipe() -> Find:
    from mediapipe.python.solutions.face_detection import FaceDetection

    model = FaceDetection(model_selection=1)

    def find(photo: Image.Image) -> list[Size]:
        detections = model.process(np.asarray(photo)).detections or ()
        boxes = [detection.location_data.relative_bounding_box for detection in detections]
        return [(box.width * photo.width, box.height * photo.height) for box in boxes]

    return find


def cascade() -> Find:
    import cv2
    from cv2.data import haarcascades

    model = cv2.CascadeClassifier(haarcascades + "haarcascade_frontalface_alt2.xml")

    def find(photo: Image.Image) -> list[Size]:
        picture, scale = small(photo)
        boxes = model.detectMultiScale(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 1.1, 5)
        return [(width * scale, height * scale) for _, _, width, height in boxes]

    return find


def mtcnn() -> Find:
    from mtcnn import MTCNN

    model = MTCNN()

    def find(photo: Image.Image) -> list[Size]:
        picture, scale = small(photo)
        boxes = [face["box"] for face in model.detect_faces(picture) or () if isinstance(face, dict)]
        return [(width * scale, height * scale) for _, _, width, height in boxes]

    return find


def small(photo: Image.Image) -> tuple[np.ndarray, float]:
    """The photo's pixels, at most 1024 a side, and how many of its own make one of them."""
    image = small_photo(photo)
    return np.asarray(image), photo.height / image.height


def small_photo(photo: Image.Image) -> Image.Image:
    image = photo.copy()
    image.thumbnail((1024, 1024))
    return image


if __name__ == "__main__":
    main()
