"""What of a source counts for the identity of an ingest."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from components.ingest import STEP
from components.step import identity
from components.step.settings import build


@pytest.fixture
def table(tmp_path) -> Path:
    """A table beside two photos, in a folder with something else."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(folder / name)
    (folder / "labels.csv").write_text("picture,age\na.png,3\nb.png,4\n")
    (folder / "notes.md").write_text("")
    return folder / "labels.csv"


def digest(table: Path, *more: str) -> str:
    chosen = ["source.kind=table", f"source.path={table}", "source.table.path=picture", *more]
    return identity.of_step(STEP, build(STEP.settings, {}, chosen), {}).digest


def test_photos_beside_a_table_count_and_what_it_does_not_name_does_not(table):
    before = digest(table)
    (table.parent / "notes.md").write_text("changed")
    (table.parent / "root").mkdir()
    assert digest(table) == before
    Image.new("RGB", (9, 9)).save(table.parent / "b.png")
    assert digest(table) != before


def test_photos_in_a_folder_of_their_own_count(table, tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.move(table.parent / "a.png", tmp_path / "photos" / "a.png")
    before = digest(table, f"source.photos={tmp_path / 'photos'}")
    Image.new("RGB", (9, 9)).save(tmp_path / "photos" / "a.png")
    assert digest(table, f"source.photos={tmp_path / 'photos'}") != before


@pytest.mark.parametrize("labels", ["", "picture\n", "no such column\n1\n"])
def test_a_table_that_cannot_be_read_is_the_steps_own_to_refuse(table, labels):
    before = digest(table)
    table.write_text(labels)
    assert digest(table) != before


def test_workers_and_the_runner_do_not_count(table):
    assert digest(table, "beam.workers=3") == digest(table)
