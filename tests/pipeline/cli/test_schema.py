"""`visage schema` on a schema of a reader's own."""

import shutil
import subprocess
import sys

import pytest

from components.validate.reviewed_schema import place_of
from pipeline.cli import main
from schemas.artifact import Manifest, publish
from schemas.shard import file_name, write_index
from tests.components.validate.made_up import face, faces, write_shard

CHANGE = "- face/age must be from 0 to 127; so far it must be from 0 to 100.\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a schema, and with examples of which one breaks it."""
    partial = tmp_path / ".ingest"
    shard = write_shard(partial, file_name("train", 0, 1), [*faces(30), face(1, age=127)])
    write_index(partial, {"train": [shard]})
    publish(partial, tmp_path / "ingest", Manifest("ingest", "made up", {}))
    shutil.copyfile(place_of(None), tmp_path / "own.pbtxt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_inferred_compared_and_approved(place, capsys):
    own = ["--schema", "own.pbtxt"]
    assert main(["schema", "infer", "ingest", "--out", "proposed.pbtxt", *own]) == 0
    assert capsys.readouterr().out == f"proposed.pbtxt, against own.pbtxt:\n{CHANGE}"
    assert main(["schema", "diff", "proposed.pbtxt", *own]) == 0
    assert capsys.readouterr().out == f"proposed.pbtxt, against own.pbtxt:\n{CHANGE}"
    assert (place / "own.pbtxt").read_text() == place_of(None).read_text()

    assert main(["schema", "approve", "proposed.pbtxt", *own]) == 0
    assert CHANGE in capsys.readouterr().out
    assert (place / "own.pbtxt").read_text() == (place / "proposed.pbtxt").read_text()
    assert sorted(path.name for path in place.glob("*pbtxt*")) == ["own.pbtxt", "proposed.pbtxt"]
    assert main(["schema", "diff", "proposed.pbtxt", *own]) == 0
    assert "asks for the same" in capsys.readouterr().out


def test_what_is_no_schema_is_not_approved(place, capsys):
    (place / "proposed.pbtxt").write_text("feature { name: 3 }")
    assert main(["schema", "approve", "proposed.pbtxt", "--schema", "own.pbtxt"]) == 2
    assert "visage: proposed.pbtxt is no schema: 1:17" in capsys.readouterr().err
    assert (place / "own.pbtxt").read_text() == place_of(None).read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["infer", "ingest"], "infer needs --out FILE."),
        (["diff", "own.pbtxt", "--out", "other.pbtxt"], "diff takes no --out."),
        (["infer", "ingest", "--out", "own.pbtxt"], "own.pbtxt is the reviewed schema."),
        (["diff", "nothing.pbtxt"], "nothing.pbtxt cannot be read"),
    ],
)
def test_wrong_usage_is_told(words, message, place, capsys):
    assert main(["schema", *words, "--schema", "own.pbtxt"]) == 2
    assert message in capsys.readouterr().err
    assert (place / "own.pbtxt").read_text() == place_of(None).read_text()


def test_as_a_process_it_prints_its_sentences_and_nothing_else(place):
    words = [sys.executable, "-m", "pipeline.cli", "schema", "infer", "ingest", "--out", "proposed.pbtxt"]
    completed = subprocess.run(words, capture_output=True, text=True, cwd=place)
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.endswith(CHANGE)
