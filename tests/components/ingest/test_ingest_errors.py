"""What a person can get wrong is one message that says what, where and what to do; nothing half-done is taken for whole."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import components.ingest.assemble
import components.ingest.pieces
import components.ingest.spool
from components.ingest import STEP, tally
from components.ingest.run import check
from components.ingest.settings import Settings
from components.step import Tracker, execute
from components.step.settings import build
from schemas.error import VisageError
from tests.components.ingest.made_up import Archive, ingest, picture, stored


def message(source: Path | str, output: Path, *settings: str) -> str:
    with pytest.raises(VisageError) as raised:
        ingest(Path(source), output, *settings)
    assert not (output / "summary.json").exists()
    return str(raised.value)


def test_no_photo_is_found(tmp_path):
    archive = Archive(tmp_path / "archive").fill(20)
    source = archive.write()
    (tmp_path / "elsewhere").mkdir()
    text = message(source, tmp_path / "out", f"source.photos={tmp_path / 'elsewhere'}")
    assert f"No photo was found under {tmp_path / 'elsewhere'}: 20 are missing, the first is 00/0.jpg." in text
    assert "source.photos" in text


def test_every_row_is_rejected(tmp_path):
    source = Archive(tmp_path / "archive").fill(20).write()
    text = message(source, tmp_path / "out", "photo.min_side=500")
    assert "Every one of the 20 rows" in text
    assert "20 photo_too_small" in text


def test_rows_that_are_all_malformed_say_what_to_set(tmp_path):
    archive = Archive(tmp_path / "archive")
    for number in range(3):
        archive.add(f"{number}.jpg", stored(picture(number)), gender="Woman")
    text = message(archive.write(), tmp_path / "out")
    assert "3 malformed_row" in text and "the first: gender is 'Woman': see source.table.genders." in text


@pytest.mark.parametrize(("split_names", "lacking"), [(("train", "test"), "validation"), (("train", "val"), "test")])
def test_a_split_that_the_table_does_not_give_can_be_cut_from_train(tmp_path, split_names, lacking):
    archive = Archive(tmp_path / "archive").fill(90)
    for number, row in enumerate(archive.rows):
        row["split"] = split_names[number // 3 % 5 == 0]
    source = archive.write()
    text = message(source, tmp_path / "out")
    assert f"The source gives every row a split, and none is {lacking}." in text
    assert f"ingest.split.cut_from_train=[{lacking}]" in text
    counts = ingest(source, tmp_path / "cut", f"ingest.split.cut_from_train=[{lacking}]")
    other_split = "test" if lacking == "validation" else "validation"
    assert counts[other_split] == 18 and counts[lacking] > 0 and counts["train"] + counts[lacking] == 72
    without = ingest(source, tmp_path / "without", f"ingest.split.{lacking}=0")
    assert without[lacking] == 0


def test_a_source_without_rows(tmp_path):
    assert "holds no rows" in message(Archive(tmp_path / "archive").write(), tmp_path / "out")


def test_a_split_without_examples(tmp_path):
    source = Archive(tmp_path / "archive").fill(3).write()
    text = message(source, tmp_path / "out")
    assert "No example fell into the split validation or test: there are 3 in all." in text
    counts = ingest(source, tmp_path / "train only", "ingest.split.validation=0", "ingest.split.test=0")
    assert counts["train"] == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "There is no"), (b"\0\1\2" * 500, "imdb.mat cannot be read"), (b"", "imdb.mat cannot be read")],
)
def test_labels_that_are_missing_or_damaged(tmp_path, content, text):
    folder = tmp_path / "imdb_crop"
    folder.mkdir()
    if content is not None:
        (folder / "imdb.mat").write_bytes(content)
    assert text in message(folder, tmp_path / "out", "source.kind=imdb_wiki")


def test_a_damaged_archive_of_photos(tmp_path):
    source = Archive(tmp_path / "archive").fill(20).write()
    (tmp_path / "photos.zip").write_bytes(b"PK no zip")
    assert "photos.zip cannot be read" in message(source, tmp_path / "out", f"source.photos={tmp_path / 'photos.zip'}")


@pytest.mark.parametrize("where", ["spool", "shard"])
def test_a_full_disk(tmp_path, monkeypatch, where):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "spool":
        monkeypatch.setattr(components.ingest.spool.Spool, "flush", full)
    else:
        monkeypatch.setattr(components.ingest.pieces, "write_record", full)
    source = Archive(tmp_path / "archive").fill(60).write()
    text = message(source, tmp_path / "out")
    assert re.search(f"{tmp_path / 'out'}/staging/[0-9a-f]+ cannot be written to: No space left on device.", text)
    assert "Free some space" in text


def test_a_full_disk_for_real(tmp_path):
    """The size of any file is limited, as a quota would."""
    source = Archive(tmp_path / "archive").fill(200).write()
    command = [
        sys.executable,
        "-m",
        "components.ingest",
        "--set",
        "source.kind=table",
        "--set",
        f"source.path={source}",
    ]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 100; trap "" XFSZ; exec "$@"', "-", *command, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written to: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_failed_run_leaves_no_artifact_and_the_next_one_is_whole(tmp_path, monkeypatch):
    source = Archive(tmp_path / "archive").fill(60).write()
    values = {"source": {"kind": "table", "path": str(source)}, "ingest": {"split": {"validation": 0.3, "test": 0.3}}}
    settings, final = build(Settings, values), tmp_path / "artifacts" / "ingest"
    with monkeypatch.context() as broken:
        broken.setattr(
            components.ingest.assemble, "write_index", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O error"))
        )
        with pytest.raises(VisageError, match="cannot be written to"):
            execute(STEP, settings, {}, final, Tracker())
    assert not final.exists()
    manifest = execute(STEP, settings, {}, final, Tracker())
    assert manifest.counts["examples"] == 60
    assert not list(final.glob(".*"))


def test_a_lost_row_is_noticed(tmp_path):
    """The last look of every ingest, on an artifact that was tampered with."""
    source = Archive(tmp_path / "archive").fill(60).write()
    ingest(source, tmp_path / "out")
    with pytest.raises(VisageError, match="61 rows were read, but 60 examples and 0 rejects came out"):
        check(tmp_path / "out", tally.count(tmp_path / "out"), 61, Settings())


@pytest.mark.parametrize("column", ["person", "sha256"])
def test_a_leak_is_noticed(tmp_path, column):
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = Archive(tmp_path / "archive").fill(60).write()
    ingest(source, tmp_path / "out")
    listing = pq.read_table(tmp_path / "out" / "examples.parquet")
    same = pa.array([listing[column][0].as_py()] * len(listing))
    torn = listing.set_column(listing.column_names.index(column), column, same)
    pq.write_table(torn, tmp_path / "out" / "examples.parquet")
    with pytest.raises(VisageError, match="in more than one split"):
        check(tmp_path / "out", tally.count(tmp_path / "out"), 60, Settings())


def test_pictures_that_stand_twice_are_noticed(tmp_path):
    import pyarrow.parquet as pq

    source = Archive(tmp_path / "archive").fill(60).write()
    ingest(source, tmp_path / "out")
    listing = pq.read_table(tmp_path / "out" / "examples.parquet")
    place = listing.column_names.index("pixels")
    pixels = listing["pixels"].to_pylist()
    twice = listing.set_column(place, listing.schema.field("pixels"), [[pixels[1], *pixels[1:]]])
    pq.write_table(twice, tmp_path / "out" / "examples.parquet")
    with pytest.raises(VisageError, match="with 59 pictures"):
        check(tmp_path / "out", tally.count(tmp_path / "out"), 60, Settings())


def test_the_command_imports_no_tensorflow_and_the_step_nothing_heavy(tmp_path):
    source = Archive(tmp_path / "archive").fill(60).write()
    code = f"""
import sys
import components.ingest
assert not {{"apache_beam", "numpy", "pyarrow", "scipy", "tensorflow"}} & set(sys.modules), "heavy imports"
from components.ingest.__main__ import STEP, main
code = main(STEP, ["--set", "source.kind=table", "--set", {f"source.path={source}"!r}, "--out", {str(tmp_path / "out")!r}])
assert "tensorflow" not in sys.modules
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "60 examples" in done.stderr or "examples: 60" in done.stdout
