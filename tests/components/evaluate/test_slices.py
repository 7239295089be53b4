"""For whom: the slices of bare tables."""

import numpy as np

from components.evaluate import blessing, intervals, slices
from components.evaluate.settings import BlessingSettings
from tests.components.evaluate.predicted import table

FACES = table(
    age=[25.0, 25, 35, 35],
    age_decade=["20-29", "20-29", "30-39", "30-39"],
    gender=["female", "male", "female", None],
    source=["a", "a", "b", "b"],
    side=[40.0, 64, 200, 500],
    face_score=[1.5, 1.5, 1.5, 1.5],
    predicted_age=[26.0, 26, 45, 45],
)


def test_of_labels_both_together_source_and_size():
    rows_of = {(face_slice.name, face_slice.value): face_slice.rows.tolist() for face_slice in slices.slices(FACES)}
    assert rows_of["gender and age", "female 30-39"] == [2]
    assert rows_of["source", "b"] == [2, 3]
    assert [value for name, value in rows_of if name == "picture side"] == [
        "below 64 px",
        "64 to 96 px",
        "192 to 256 px",
        "384 px and more",
    ]
    assert not [name for name, _ in rows_of if name == "face score"], "what all faces share is no slice"


def test_of_a_tables_own_columns_unless_they_have_too_many_values():
    face_slices = slices.slices(
        FACES.assign(label_camera=["X", None, "Y", "X"], label_gender=["f", "f", "m", "n"], label_site=["one"] * 4)
    )
    assert {
        face_slice.value: face_slice.rows.tolist() for face_slice in face_slices if face_slice.name == "camera"
    } == {"X": [0, 3], "Y": [2]}
    assert {face_slice.value for face_slice in face_slices if face_slice.name == "gender"} == {"female", "male"}
    assert {face_slice.value for face_slice in face_slices if face_slice.name == "column gender"} == {"f", "m", "n"}
    assert not [face_slice for face_slice in face_slices if face_slice.name == "site"], (
        "what all faces share is no slice"
    )
    many = table(age=[30.0] * 41, source=["a"] * 41, label_name=[f"n{number}" for number in range(41)])
    assert not [face_slice for face_slice in slices.slices(many) if face_slice.name == "name"]


def test_those_too_small_to_judge_are_marked_and_never_the_worst():
    face_slices = slices.slices(FACES)
    measured = intervals.measure(FACES, [face_slice.rows for face_slice in face_slices], {}, 100, 0)
    rows = slices.rows(face_slices, FACES, measured, {}, min_examples=2)
    judged = {(row["slice"], row["value"]): row["judged"] for row in rows}
    assert judged["age", "30-39"] and not judged["gender", "male"]
    worst = slices.worst(rows)
    assert (worst["age_mae"]["slice"], worst["age_mae"]["value"], worst["age_mae"]["age_mae"]) == ("age", "30-39", 10)
    assert "gender_accuracy" not in worst, "nothing is known of it"


def test_a_figure_that_can_be_told_of_few_faces_is_not_judged_by_the_number_of_all():
    """Of source b one face in four has an age, and that is missed by far."""
    faces = table(
        age=[25.0] * 4 + [25, None, None, None],
        predicted_age=[26.0] * 4 + [70.0] * 4,
        gender=["female"] * 8,
        predicted_gender=["female"] * 5 + ["male"] * 3,
        source=["a"] * 4 + ["b"] * 4,
    )
    face_slices = slices.slices(faces)
    measured = intervals.measure(faces, [face_slice.rows for face_slice in face_slices], {}, 100, 0)
    rows = slices.rows(face_slices, faces, measured, {}, min_examples=3)
    (b,) = (row for row in rows if (row["slice"], row["value"]) == ("source", "b"))
    assert b["age_mae"] == 45 and b["judged"]
    assert (b["judged_by"], b["figure_faces"]["age_mae"]) == (["gender_accuracy"], 1)
    assert not list(blessing._against_slices(rows, BlessingSettings(max_slice_mae=40)))
    worst = slices.worst(rows)
    assert (worst["age_mae"]["value"], worst["age_mae"]["examples"]) == ("female", 5)
    assert (worst["gender_accuracy"]["value"], worst["gender_accuracy"]["examples"]) == ("b", 4)


def test_differences_to_the_champion_are_told_where_it_may_be_compared():
    faces = table(
        age=[25.0, 45],
        predicted_age=[26.0, 44],
        age_class=["A", "B"],
        predicted_age_class=["A", "B"],
        source=["a", "b"],
    )
    measured = intervals.measure(faces, [np.arange(2)], {"champion": faces}, 100, 0)
    (row,) = slices.rows([slices.Slice("all", "", np.arange(2))], faces, measured, {}, 1, ["age_mae"])
    assert list(row["champion_differences"]) == ["age_mae"], "its age classes are others: two answers to two questions"
