"""Rows with the same picture: which one is kept, and when none is."""

from typing import Any

import pytest

from components.ingest.duplicates import keep_one, keep_one_split, settled
from components.ingest.face_tables import faces_of, table_of
from components.ingest.faces import ExtractedFace, row_of
from schemas.record import FaceRecord


def face(path: str, row: int = 0, split: str = "train", **labels: Any) -> ExtractedFace:
    known: dict[str, Any] = {"age": 30, "gender": "male"} | labels
    record = FaceRecord(row=row, source="set", path=path, person=f"set:{path}", **known)
    return ExtractedFace(record, split, 0, "ab", "", b"pixels", 10, 10, "file", 0, 10, 0)


def one_kept(*faces: ExtractedFace, tolerance: int = 0) -> tuple[str | None, list[str]]:
    """Path of the kept row, and the reasons of the others by path."""
    kept_faces, rejects = keep_one(faces, tolerance)
    assert keep_one(reversed(faces), tolerance)[0] == kept_faces, "which row is kept must not hang on the order"
    return kept_faces[0].record.path if kept_faces else None, [f"{reject.path} {reject.reason}" for reject in rejects]


def test_a_single_row_is_kept():
    assert one_kept(face("a")) == ("a", [])


def test_of_equal_rows_the_first_by_path_is_kept():
    assert one_kept(face("b"), face("a"), face("c")) == ("a", ["b duplicate", "c duplicate"])


def test_of_the_same_path_the_first_row_is_kept():
    (kept_face,), rejects = keep_one([face("a", row=7), face("a", row=3)], 0)
    assert (kept_face.record.row, rejects[0].row) == (3, 7)
    assert "row 3" in rejects[0].detail


@pytest.mark.parametrize(("tolerance", "kept_path"), [(0, None), (2, None), (3, "a")])
def test_ages_may_differ_by_the_tolerance(tolerance, kept_path):
    path, reasons = one_kept(face("a", age=30), face("b", age=33), tolerance=tolerance)
    assert path == kept_path
    assert reasons == (["b duplicate"] if kept_path else ["a conflicting_labels", "b conflicting_labels"])


def test_the_tolerance_is_between_the_youngest_and_the_oldest():
    assert one_kept(face("a", age=30), face("b", age=32), face("c", age=34), tolerance=3)[0] is None


def test_genders_and_classes_must_agree():
    assert one_kept(face("a"), face("b", gender="female"))[0] is None
    assert one_kept(face("a", age=None, age_class="OLD"), face("b", age=None, age_class="YOUNG"))[0] is None


def test_an_unknown_label_agrees_with_any_and_more_labels_are_preferred():
    assert one_kept(face("a", gender=None), face("b", age=None), face("c")) == ("c", ["a duplicate", "b duplicate"])
    assert one_kept(face("a", gender=None), face("b"), face("c", gender="female"))[0] is None


def test_a_conflict_says_what_is_at_odds():
    _, rejects = keep_one([face("a", age=3), face("b", age=61), face("c", age=3)], 0)
    assert {reject.detail for reject in rejects} == {"ages 3, 61"}
    _, rejects = keep_one([face("a"), face("b", gender="female")], 0)
    assert {reject.detail for reject in rejects} == {"both female and male"}


def test_of_faces_on_one_photo_those_of_one_split_are_kept():
    kept_faces, rejects = keep_one_split([face("c", split="test"), face("a"), face("b")])
    assert [f.record.path for f in kept_faces] == ["a", "b"]
    assert [(r.path, r.reason) for r in rejects] == [("c", "duplicate")]
    assert "in the train split" in rejects[0].detail


def test_only_those_that_share_a_value_are_settled():
    faces = [face("a"), face("b"), face("c")._replace(pixels=b"other", record=face("c", box=(1.5, 2, 3, 4)).record)]
    shared_paths = []

    def settle(same):
        shared_paths.append([f.record.path for f in same])
        return same[:1], ["reject"]

    kept_faces, rejects = settled(table_of(map(row_of, faces)), "pixels", settle)
    assert shared_paths == [["a", "b"]]
    assert faces_of(kept_faces) == [faces[2], faces[0]]
    assert rejects == ["reject"]
    none, rejects = settled(table_of([]), "pixels", settle)
    assert (len(none), rejects) == (0, [])
