"""Face detection, on drawn faces and, where it is there, on real photos."""

import csv
import io
import json
import os
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.photo import PhotoSettings, crop_face, open_photo
from components.score import STEP
from components.score.detect import detector
from components.score.faces import Detection, faces_of
from components.score.settings import Settings
from components.step import StepContext
from pipeline.demo.people import Person
from pipeline.demo.scene import PORTRAIT, Shot, take
from schemas.error import VisageError

PROJECT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("VISAGE_SHARED_DATA") or PROJECT.parent / "shared" / "data")
needs_photos = pytest.mark.skipif(not (SHARED / "photos.zip").is_file(), reason=f"no photos.zip in {SHARED}")


@cache
def portrait(seed: int = 1, side: int = 240) -> Image.Image:
    """A drawn face."""
    shot = Shot(Person(1, seed), 30, 2020, PORTRAIT, (side, side), (seed,))
    return Image.open(io.BytesIO(take(shot))).convert("RGB")


def group(*places: tuple[int, int], size: tuple[int, int] = (1000, 600)) -> Image.Image:
    """A grey photo with a portrait at every place (its left upper corner)."""
    photo = Image.new("RGB", size, (120, 125, 130))
    for place in places:
        photo.paste(portrait(), place)
    return photo


def jpeg(photo: Image.Image) -> bytes:
    held = io.BytesIO()
    photo.save(held, "JPEG", quality=92)
    return held.getvalue()


@pytest.fixture(scope="module", params=["fast", "thorough"])
def find(request):
    return detector(request.param, None)


class TestDetectors:
    def test_every_face_is_found_once_and_where_it_is(self, find):
        places = [(40, 60), (380, 300), (720, 20)]
        found = sorted(find(group(*places)), key=lambda held: held.left)
        assert len(found) == 3
        for held, (left, top) in zip(found, places, strict=True):
            assert left <= held.left < held.right <= left + 240 and top <= held.top < held.bottom <= top + 240
            assert held.right - held.left > 80 and 0.5 <= held.score <= 1

    def test_no_face_is_found_where_there_is_none(self, find):
        noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
        assert find(Image.fromarray(noise)) == [] == find(Image.new("RGB", (400, 300), (200, 200, 200)))

    @pytest.mark.parametrize("size", [(1, 1), (900, 1), (2500, 20), (24, 23), (30, 31)])
    def test_photos_of_any_shape_are_looked_at(self, find, size):
        assert find(Image.new("RGB", size)) == []

    def test_a_large_photo_gives_boxes_in_its_own_pixels(self, find):
        (held,) = find(group((380, 200)).resize((4000, 2400)))
        assert 1520 <= held.left < held.right <= 2480 and 800 <= held.top < held.bottom <= 1760

    def test_the_same_photo_gives_the_same_boxes(self, find):
        photo = group((40, 60), (720, 20))
        assert find(photo) == find(photo)

    def test_a_higher_threshold_finds_fewer(self):
        assert detector("fast", 0.99)(group((40, 60))) == []

    @pytest.mark.parametrize(("kind", "package"), [("fast", "mediapipe"), ("thorough", "mtcnn")])
    def test_without_its_package_the_message_says_what_to_install(self, monkeypatch, kind, package):
        module = {"mediapipe": "mediapipe.python.solutions.face_detection", "mtcnn": "mtcnn"}[package]
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(
            VisageError, match=rf"{package} is not installed.*\n.*visage\[detect\].*--faces whole"
        ) as error:
            detector(kind, None)
        assert error.value.exit_code == 2


class TestFaces:
    SETTINGS = PhotoSettings(size=64, margin=0.25, min_side=20)

    def test_faces_come_from_left_to_right_cropped_as_ingest_crops_them(self):
        photo = group((40, 60), (600, 60))
        boxes = [Detection(640.4, 100, 760, 220, 0.8), Detection(80, 100, 200, 220.6, 0.9)]
        first, second = faces_of(photo, self.SETTINGS, lambda _: boxes)
        assert (first.box, second.box) == ((80, 100, 200, 221), (640, 100, 760, 220))
        assert (first.score, second.score) == (0.9, 0.8)
        wanted = crop_face(photo, (80, 100, 200, 220.6), self.SETTINGS)
        np.testing.assert_array_equal(first.pixels, np.asarray(wanted))

    def test_faces_that_are_too_small_are_left_out_and_boxes_stay_on_the_photo(self):
        photo = group((40, 60))
        boxes = [Detection(500, 500, 510, 510, 0.9), Detection(-20, -30, 90, 80, 0.9)]
        (face,) = faces_of(photo, self.SETTINGS, lambda _: boxes)
        assert face.box == (0, 0, 90, 80)

    def test_without_a_detector_the_whole_picture_is_the_face(self):
        (face,) = faces_of(portrait(), self.SETTINGS, None)
        assert face.box == (0, 0, 240, 240) and face.score is None and face.pixels.shape == (64, 64, 3)


class TestTheStep:
    def test_a_row_a_face_and_one_for_a_photo_without(self, model, tmp_path, output):
        faces = tmp_path / "faces"
        faces.mkdir()
        (faces / "a_three.jpg").write_bytes(jpeg(group((40, 60), (380, 300), (720, 20))))
        (faces / "b_none.jpg").write_bytes(jpeg(group()))
        (faces / "c_broken.jpg").write_bytes(jpeg(group())[:900])
        settings = Settings.model_validate(
            {"score": {"photos": [str(faces)], "model": model, "faces": "detect"}, "beam": {"workers": 2}}
        )
        counts = STEP.run(settings, StepContext({}, output))
        assert (counts["photos"], counts["scored"], counts["without_face"], counts["rejected"]) == (3, 1, 1, 1)
        rows = pq.read_table(output / "scores").to_pylist()
        assert [(row["path"], row["face_index"], row["face_count"]) for row in rows] == [
            ("a_three.jpg", 0, 3),
            ("a_three.jpg", 1, 3),
            ("a_three.jpg", 2, 3),
            ("b_none.jpg", None, 0),
        ]
        for row in rows[:3]:
            assert row["box_left"] < row["box_right"] and row["detection_score"] >= 0.5 and row["age"] is not None
        empty = rows[3]
        assert empty["sha256"] and all(
            empty[name] is None for name in ("box_left", "detection_score", "age", "age_low", "gender")
        )
        assert json.loads((output / "summary.json").read_text())["faces"] == 3


@needs_photos
@pytest.mark.slow
class TestRealPhotos:
    """Against faces counted by eye; the detectors' README has the whole table."""

    @pytest.fixture(scope="class")
    @staticmethod
    def photos() -> list[tuple[dict, Image.Image]]:
        settings = PhotoSettings()
        with zipfile.ZipFile(SHARED / "photos.zip") as archive, (SHARED / "photos.csv").open() as table:
            rows = list(csv.DictReader(table))
            return [(row, open_photo(archive.read(row["path"]), settings)) for row in rows]

    def test_portraits_and_small_groups_are_found_and_nothing_in_the_banner(self, photos, find):
        for row, photo in photos:
            faces = int(row["faces"])
            if faces in (7, 30):
                continue
            # In photo_05 a child stands at the edge whom the count by eye leaves out.
            allowed = {faces, 3} if row["path"].endswith("photo_05.jpg") else {faces}
            assert len(find(photo)) in allowed, row["path"]

    def test_the_thorough_one_finds_the_selfie_and_the_team(self, photos):
        find = detector("thorough", None)
        found = {int(row["faces"]): len(find(photo)) for row, photo in photos if int(row["faces"]) in (7, 30)}
        assert found[7] >= 6 and found[30] >= 25
