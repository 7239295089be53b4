"""`visage compare` on a registry of its own, with estimators that read their answers from the pixels."""

import shutil

import pyarrow.parquet as pq
import pytest

from components.registry.learned_from import LearnedFrom
from pipeline.cli import compare
from schemas.artifact import read_manifest
from schemas.error import VisageError
from tests.components.evaluate.champions import register
from tests.components.evaluate.made_up import face, write_estimator, write_examples


@pytest.fixture
def root(tmp_path, monkeypatch, empty_registry):
    """A pipeline root with examples, and two versions: the second says seven years more of everyone."""
    shutil.copyfile(empty_registry, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    test = [face(n, 20 + n, 20 + n, 0.9 * (n % 2), "female" if n % 2 else "male") for n in range(40)]
    ingest = tmp_path / "root" / "artifacts" / "ingest"
    ingest.mkdir(parents=True)
    artifact = write_examples(ingest, train=[face(99, 30, 30)], validation=[], test=test)
    for name, error in (("one", 0), ("two", 7)):
        (tmp_path / name).mkdir()
        trained = write_estimator(tmp_path / name, age_error=error)
        register(
            {"estimator": trained / "estimator"},
            tmp_path,
            **{"visage.data_fingerprint": read_manifest(artifact).fingerprint},
        )
    return tmp_path / "root"


def test_two_versions_on_the_same_photos(root, capsys):
    out = root / "both.parquet"
    compare.run("visage", ["1", "2"], None, out, root)
    printed = capsys.readouterr().out
    assert "40 test faces" in printed
    (line,) = (line for line in printed.splitlines() if "age: mean absolute error" in line)
    assert "-6." in line or "-7." in line, "the first is about seven years better"
    (line,) = (line for line in printed.splitlines() if "gender: share right" in line)
    assert "0.000 to 0.000" in line
    assert "most apart" in printed
    rows = pq.read_table(out).to_pylist()
    assert len(rows) == 40
    assert rows[0]["predicted_age_2"] - rows[0]["predicted_age"] == pytest.approx(7, abs=0.6)


def test_where_there_are_no_photos_it_says_so(root, tmp_path):
    with pytest.raises(VisageError, match="holds no examples to compare on"):
        compare.run("visage", ["1", "2"], None, None, tmp_path / "elsewhere")


def test_a_version_that_learned_from_these_photos_is_not_compared(root, tmp_path):
    (tmp_path / "other").mkdir()
    learned = write_examples(tmp_path / "other", train=[face(n, 20, 20) for n in range(3)], validation=[], test=[])
    LearnedFrom.of(learned).write(tmp_path / "other" / "learned_from.npy")
    files = {
        "estimator": tmp_path / "one" / "train" / "estimator",
        "learned_from": tmp_path / "other" / "learned_from.npy",
    }
    register(files, tmp_path)
    with pytest.raises(VisageError, match=r"3 cannot be compared .* 3 of these 40 test faces"):
        compare.run("visage", ["1", "3"], None, None, root)
