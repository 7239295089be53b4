"""A table's own columns, from the table to the slices of metrics.json."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.evaluate import Settings, own_labels, run
from components.step import StepContext
from components.step.settings import build
from schemas.artifact import Manifest, publish
from schemas.error import VisageError
from tests.components.evaluate.made_up import SIDE, write_estimator
from tests.components.evaluate.predicted import table
from tests.components.ingest.made_up import Archive, ingest

SETTINGS = build(Settings, {}, ["evaluate.resamples=100", "evaluate.blessing.fresh_process=false"])


def test_of_a_table_become_slices(tmp_path):
    archive = Archive(tmp_path / "archive").fill(80)
    for number, row in enumerate(archive.rows):
        row |= {"camera": ("X100", "", "K1000")[number % 3], "note": f"photo {number}"}
    columns = "source.table.columns=[camera, note]"
    ingest(archive.write(), tmp_path / "partial", columns, f"photo.size={SIDE}", "ingest.split.test=0.7")
    publish(tmp_path / "partial", tmp_path / "ingest", Manifest("ingest", "made up", {}))
    (tmp_path / "out").mkdir()
    run(SETTINGS, StepContext({"ingest": tmp_path / "ingest", "train": write_estimator(tmp_path)}, tmp_path / "out"))

    predicted = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    written = {row["path"]: (row["camera"] or None, row["note"]) for row in archive.rows}
    assert len(predicted) > 40, "more notes than a column that is a slice may have"
    assert [(row["label_camera"], row["label_note"]) for row in predicted] == [
        written[row["path"]] for row in predicted
    ]

    slices = json.loads((tmp_path / "out" / "metrics.json").read_text())["slices"]
    of_camera = {row["value"]: row for row in slices if row["slice"] == "camera"}
    for camera in ("K1000", "X100"):
        errors = [abs(row["predicted_age"] - row["age"]) for row in predicted if row["label_camera"] == camera]
        assert of_camera[camera]["examples"] == len(errors) > 0
        assert of_camera[camera]["age_mae"] == pytest.approx(sum(errors) / len(errors), abs=0.01)
    assert set(of_camera) == {"K1000", "X100"}, "an empty field is in no slice"
    assert not [row for row in slices if row["slice"] == "note"]


def listing(folder: Path, **columns: list) -> Path:
    pq.write_table(pa.table(columns), folder / own_labels.LISTING)
    return folder


TWO = table(path=["a.jpg", "b.jpg"], person=["p1", "p2"])
LISTED = {"split": ["train", "test", "test"], "path": ["0.jpg", "a.jpg", "b.jpg"], "person": ["p0", "p1", "p2"]}


def test_of_the_test_split_are_joined_row_by_row(tmp_path):
    joined = own_labels.joined(TWO, listing(tmp_path, **LISTED, label_camera=["Z", None, "Y"]))
    assert joined["label_camera"].tolist() == [None, "Y"]


@pytest.mark.parametrize("listed", [True, False], ids=["a listing from before there were any", "no listing"])
def test_where_there_are_none_nothing_is_added(tmp_path, listed):
    if listed:
        listing(tmp_path, **LISTED)
    assert list(own_labels.joined(TWO, tmp_path)) == list(TWO)


@pytest.mark.parametrize(
    "listed",
    [
        {name: values[::-1] for name, values in LISTED.items()},
        {name: values[:2] for name, values in LISTED.items()},
        {name: values for name, values in LISTED.items() if name != "person"},
    ],
    ids=["another order", "one is missing", "no persons"],
)
def test_a_listing_of_other_examples_is_refused(tmp_path, listed):
    label = ["X"] * len(listed["path"])
    with pytest.raises(VisageError, match=r"does not list the test examples in the order of their shards") as refused:
        own_labels.joined(TWO, listing(tmp_path, **listed, label_camera=label))
    assert refused.value.hint == "Run the ingest step again."


@pytest.mark.parametrize("damage", ["no Parquet", "no column of splits", "no rows"])
def test_a_listing_that_cannot_be_read_is_one_message(tmp_path, damage):
    if damage == "no Parquet":
        (tmp_path / own_labels.LISTING).write_bytes(b"PAR1")
    elif damage == "no rows":
        pq.write_table(pa.table({**LISTED, "label_x": ["X"] * 3}).slice(0, 0), tmp_path / own_labels.LISTING)
    else:
        listing(tmp_path, path=["a.jpg"], person=["p1"], label_x=["X"])
    with pytest.raises(VisageError, match=r"examples\.parquet (cannot be read|does not list the test examples)"):
        own_labels.joined(TWO, tmp_path)
