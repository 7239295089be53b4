"""Faces that are looked for: what a detector finds becomes a row a face."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.detection.detect import detector
from components.detection.face import Detection
from components.photo import PhotoSettings, angle_of, crop_face
from components.score import STEP
from components.score.faces import faces_of
from components.score.settings import Settings
from components.step import StepContext
from tests.components.detection.drawn_faces import group, jpeg, portrait


class TestFaces:
    SETTINGS = PhotoSettings(size=64, margin=0.25, min_side=20)

    def test_faces_come_from_left_to_right_cropped_as_ingest_crops_them(self):
        photo = group((40, 60), (600, 60))
        boxes = [Detection(640.4, 100, 760, 220, 0.8), Detection(80, 100, 200, 220.6, 0.9)]
        first, second = faces_of(photo, self.SETTINGS, lambda _: boxes)
        assert (first.box, second.box) == ((80, 100, 200, 221), (640, 100, 760, 220))
        assert (first.score, second.score) == (0.9, 0.8)
        expected = crop_face(photo, (80, 100, 200, 220.6), self.SETTINGS)
        np.testing.assert_array_equal(first.pixels, np.asarray(expected))

    def test_faces_that_are_too_small_are_left_out_and_boxes_stay_on_the_photo(self):
        photo = group((40, 60))
        boxes = [Detection(500, 500, 510, 510, 0.9), Detection(-20, -30, 90, 80, 0.9)]
        (face,) = faces_of(photo, self.SETTINGS, lambda _: boxes)
        assert face.box == (0, 0, 90, 80)

    def test_without_a_detector_the_whole_picture_is_the_face(self):
        (face,) = faces_of(portrait(), self.SETTINGS, None)
        assert face.box == (0, 0, 240, 240) and face.score is None and face.pixels.shape == (64, 64, 3)
        assert face.angle == 0

    def test_eyes_are_levelled_as_ingest_levels_them(self):
        photo, align = group((40, 60)).rotate(25, center=(160, 180)), self.SETTINGS.model_copy(update={"align": True})
        box = (110, 120, 210, 240)
        detections = [Detection(*box, 0.9)]
        (plain,), (level,) = (faces_of(photo, settings, lambda _: detections) for settings in (self.SETTINGS, align))
        assert plain.angle == 0 and plain.box == level.box == box
        assert level.angle == angle_of(photo, box, align) == pytest.approx(-25, abs=6)
        np.testing.assert_array_equal(level.pixels, np.asarray(crop_face(photo, box, self.SETTINGS, level.angle)))

    def test_faces_on_a_photo_that_stands_turned_are_turned_upright(self):
        photo = group((380, 200))
        settings = self.SETTINGS.model_copy(update={"turns": (90, 180, 270)})
        find = detector("fast", None, settings.turns)
        (upright,) = faces_of(photo, settings, find)
        for turn, angle in ((Image.Transpose.ROTATE_270, 90), (Image.Transpose.ROTATE_180, 180)):
            (face,) = faces_of(photo.transpose(turn), settings, find)
            assert face.angle == angle
            assert np.abs(face.pixels.astype(int) - upright.pixels).mean() < 6

    def test_a_whole_picture_that_stands_turned_is_turned_too(self):
        settings = PhotoSettings(size=64, turns=(90,))
        (upright,) = faces_of(portrait(), settings, None)
        (face,) = faces_of(portrait().transpose(Image.Transpose.ROTATE_270), settings, None)
        assert (upright.angle, face.angle) == (0, 90)
        assert np.abs(face.pixels.astype(int) - upright.pixels).max() <= 3


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
            assert row["angle"] == 0
        empty = rows[3]
        assert empty["sha256"] and all(
            empty[name] is None for name in ("box_left", "detection_score", "angle", "age", "age_low", "gender")
        )
        assert json.loads((output / "summary.json").read_text())["faces"] == 3

    @pytest.mark.parametrize("faces", ["detect", "whole"])
    def test_a_model_scores_with_the_settings_it_was_trained_with(self, model_that_turns, tmp_path, output, faces):
        photo = tmp_path / "photo.jpg"
        photo.write_bytes(jpeg(portrait().rotate(-20).transpose(Image.Transpose.ROTATE_270)))
        settings = Settings.model_validate(
            {"score": {"photos": [str(photo)], "model": model_that_turns, "faces": faces}, "beam": {"workers": 1}}
        )
        STEP.run(settings, StepContext({}, output))
        (row,) = pq.read_table(output / "scores").to_pylist()
        assert row["angle"] == pytest.approx(110, abs=8)
