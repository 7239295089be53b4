"""A table's own columns: from the table into the listing, and nowhere else."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.ingest.examples_index import LISTED
from schemas.error import VisageError
from tests.components.ingest.made_up import Archive, ingest, picture, shard_bytes, stored

COLUMNS = "source.table.columns=[camera, place]"


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("archive")).fill(60)
    archive.add("copy.jpg", stored(picture(7)), age=7, gender="male")
    for number, row in enumerate(archive.rows):
        row |= {"camera": ("X100", "", "Ünknown")[number % 3], "place": str(number // 10)}
    archive.write()
    return archive


@pytest.fixture(scope="module")
def source(archive) -> Path:
    return archive.folder / "labels.csv"


@pytest.fixture(scope="module")
def plain(source, tmp_path_factory) -> Path:
    """An artifact without them."""
    output = tmp_path_factory.mktemp("plain") / "out"
    ingest(source, output)
    return output


@pytest.fixture(scope="module")
def labelled(source, tmp_path_factory) -> Path:
    """An artifact with them."""
    output = tmp_path_factory.mktemp("labelled") / "out"
    ingest(source, output, COLUMNS, "beam.workers=1")
    return output


def listings(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("examples.parquet", "left_out.parquet")]


def test_stand_in_the_listing_as_they_do_in_the_table(archive, labelled):
    rows = [row for name in ("examples", "left_out") for row in pq.read_table(labelled / f"{name}.parquet").to_pylist()]
    assert {row["path"]: (row["label_camera"], row["label_place"]) for row in rows} == {
        row["path"]: (row["camera"] or None, row["place"]) for row in archive.rows
    }


def test_are_not_kept_unless_they_are_named(plain):
    assert pq.read_schema(plain / "examples.parquet").names == LISTED.names
    assert "own_labels" not in LISTED.names


def test_change_nothing_else(plain, labelled):
    assert shard_bytes(labelled) == shard_bytes(plain)
    listed, labelled_listing = (pq.read_table(folder / "examples.parquet") for folder in (plain, labelled))
    assert labelled_listing.select(LISTED.names).equals(listed)
    assert labelled_listing.column_names == [*LISTED.names, "label_camera", "label_place"]


def test_are_the_same_bytes_on_more_workers_and_from_an_earlier_ingest(source, plain, labelled, tmp_path):
    counts = ingest(source, tmp_path / "again", COLUMNS, "beam.workers=3", previous=plain)
    assert counts["photos_new"] == 0
    assert listings(tmp_path / "again") == listings(labelled)
    assert shard_bytes(tmp_path / "again") == shard_bytes(labelled)
    ingest(source, tmp_path / "without", previous=labelled)
    assert listings(tmp_path / "without") == listings(plain)


def test_one_that_is_not_there_is_one_message_with_those_that_are(source, tmp_path):
    with pytest.raises(VisageError, match=r"labels\.csv has no column Kamera\.") as refused:
        ingest(source, tmp_path / "out", "source.table.columns=[camera, Kamera]")
    assert "It has path, age, age_class, gender," in refused.value.hint
    assert "camera, place. Name them under source.table." in refused.value.hint
