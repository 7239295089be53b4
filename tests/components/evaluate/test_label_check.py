"""Wrong labels are found by heads that did not see them, and the list is one that ingest takes."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.estimator import model, saved
from components.estimator.features import features
from components.estimator.settings import EstimatorSettings
from components.evaluate import label_check
from components.ingest.exclusion import Exclusion
from components.report import page
from schemas.record import FaceRecord
from tests.components.evaluate.made_up import face, write_estimator


def people(count: int) -> list:
    """Faces that look about as old as they are, and like the gender that they have."""
    rng = np.random.default_rng(1)
    examples = []
    for number in range(count):
        age, woman = int(rng.integers(5, 95)), bool(rng.integers(2))
        looks = float(np.clip(age + rng.normal(0, 4), 0, 100))
        female = float(np.clip(0.75 * woman + 0.125 + rng.normal(0, 0.1), 0, 1))
        examples.append(face(number, looks, age, female, "female" if woman else "male"))
    return examples


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Of 300 faces ten have an age that is 30 years off, ten the other gender; gives the list and their paths."""
    folder = tmp_path_factory.mktemp("label_check")
    examples = people(300)
    for number in range(0, 300, 30):
        example = examples[number]
        assert example.age is not None
        examples[number] = replace(example, age=example.age + 30 if example.age < 50 else example.age - 30)
        example = examples[number + 7]
        examples[number + 7] = replace(example, gender="male" if example.gender == "female" else "female")
    spoilt = {example.path for number, example in enumerate(examples) if number % 30 in (0, 7)}
    estimator = saved.load(write_estimator(folder) / "estimator")
    faces = label_check.check(estimator, [("train", examples[:200]), ("test", examples[200:])])
    label_check.write(folder, faces, page.Surround())
    return folder, spoilt


def test_what_was_spoilt_stands_first_with_picture_label_and_belief(checked):
    folder, spoilt = checked
    rows = pq.read_table(folder / label_check.FILE).to_pylist()
    assert len(rows) == 300
    first = {row["path"] for row in rows[:30]}
    assert len(spoilt & first) >= 18
    beliefs = [row["belief"] for row in rows]
    assert beliefs == sorted(beliefs)
    assert {row["doubted"] for row in rows[:20]} == {"age", "gender"}
    assert rows[0]["jpeg"][:2] == b"\xff\xd8"
    assert {row["split"] for row in rows} == {"train", "test"}
    assert (folder / label_check.PAGE).read_text().count("data:image/jpeg") == label_check.ON_PAGE


def test_ingest_leaves_out_what_is_likely_wrong(checked):
    folder, spoilt = checked
    exclusion = Exclusion.of((), str(folder / label_check.FILE))
    left_out = {
        path
        for path in (f"{number}.jpg" for number in range(300))
        if exclusion.reason(FaceRecord(0, "made", path, "made:1"))
    }
    assert len(left_out & spoilt) >= 14
    assert len(left_out - spoilt) <= 15
    assert not exclusion.reason(FaceRecord(0, "other", next(iter(left_out)), "other:1")), "of another data set"


def test_a_label_that_is_not_known_is_not_doubted(tmp_path):
    examples = [replace(example, gender=None) for example in people(60)] + [face(99, 30, None, 0.9, "female")]
    estimator = saved.load(write_estimator(tmp_path) / "estimator")
    faces = label_check.check(estimator, [("train", examples)])
    assert set(faces["doubted"]) == {"age"}
    assert len(faces) == 60, "of the last one nothing can be said: no other has a gender"


@pytest.mark.parametrize(
    "chosen", [{}, {"mirror": True}, {"branch": {"dense": [8]}}], ids=["plain", "mirror", "branches"]
)
def test_features_are_what_the_heads_see(chosen, tmp_path):
    settings = EstimatorSettings.model_validate({"size": 32, "backbone": {"width": 4, "blocks": [1, 1]}, **chosen})
    saved.save(model.build(settings), settings, tmp_path / "estimator")
    vectors = features(saved.load(tmp_path / "estimator"), [example.jpeg for example in people(3)])
    assert len(vectors) == 3 and vectors.shape[1] >= 8 and np.isfinite(vectors).all()
