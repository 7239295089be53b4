"""No Parquet or Arrow file runs code that it brings along."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PROJECT = Path(__file__).parents[2]
DOOR = Path("schemas/arrow_files.py")


class Mischief:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def table_with_code(mark: Path, **columns: list) -> pa.Table:
    """A table whose first column claims to be of an extension type that pyarrow 10 unpickles to know it."""
    table = pa.table(columns)
    code = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Mischief(mark)),
    }
    return table.cast(pa.schema([table.schema.field(0).with_metadata(code), *list(table.schema)[1:]]))


def python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=PROJECT, capture_output=True, text=True, check=False
    )


def visage(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return python("import sys; from pipeline.cli import main; sys.exit(main())", *arguments)


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "the code ran"


@pytest.mark.skipif(int(pa.__version__.partition(".")[0]) >= 15, reason="this pyarrow runs no code of a file")
def test_pyarrow_by_itself_runs_the_code(tmp_path, mark):
    """If this fails, the files of the tests below are harmless and prove nothing."""
    pq.write_table(table_with_code(mark, path=["1.jpg"]), tmp_path / "t.parquet")
    python("import sys, pyarrow.parquet as pq; pq.read_table(sys.argv[1])", tmp_path / "t.parquet")
    assert mark.exists()


@pytest.mark.parametrize("first", ["", "import pyarrow_hotfix;", "import apache_beam.io.parquetio;"])
def test_a_parquet_file_is_read_as_what_it_stores(tmp_path, mark, first):
    if "hotfix" in first:
        pytest.importorskip("pyarrow_hotfix")
    pq.write_table(table_with_code(mark, path=["1.jpg"]), tmp_path / "t.parquet")
    code = f"import sys; {first} from schemas.arrow_files import parquet; print(parquet.read_table(sys.argv[1]).to_pydict())"
    result = python(code, tmp_path / "t.parquet")
    assert result.stdout.splitlines()[-1:] == ["{'path': ['1.jpg']}"], result.stderr
    assert "Traceback" not in result.stderr
    assert not mark.exists()


def test_an_arrow_file_is_read_as_what_it_stores(tmp_path, mark):
    table = table_with_code(mark, path=["1.jpg"])
    with pa.ipc.new_file(str(tmp_path / "t.arrow"), table.schema) as file:
        file.write_table(table)
    code = "import sys; from schemas.arrow_files import ipc; print(ipc.open_file(sys.argv[1]).read_all().to_pydict())"
    result = python(code, tmp_path / "t.arrow")
    assert result.stdout.strip() == "{'path': ['1.jpg']}", result.stderr
    assert not mark.exists()


def test_a_table_of_labels_is_read(tmp_path, mark):
    labels = table_with_code(mark, path=["1.jpg"], age=[30], gender=["female"])
    pq.write_table(labels, tmp_path / "labels.parquet")
    result = visage(
        "labels", "--source", "table", "--path", tmp_path / "labels.parquet", "--out", tmp_path / "labels.csv"
    )
    assert result.returncode == 0, result.stderr
    assert "1.jpg" in (tmp_path / "labels.csv").read_text()
    assert not mark.exists()


def test_a_list_of_photos_to_score_is_read(tmp_path, mark):
    pq.write_table(table_with_code(mark, path=["1.jpg"]), tmp_path / "list.parquet")
    code = """
import sys
from components.storage.lists import paths
with open(sys.argv[1], "rb") as file:
    print(list(paths(sys.argv[1], file)))
"""
    result = python(code, tmp_path / "list.parquet")
    assert str(tmp_path / "1.jpg") in result.stdout, result.stderr
    assert not mark.exists()


def test_the_rejects_of_an_artifact_are_read(tmp_path, mark):
    columns = {name: ["x"] for name in ("source", "path", "person", "reason", "detail")}
    pq.write_table(table_with_code(mark, **columns, row=[1], sha256=["x"]), tmp_path / "rejects.parquet")
    code = "import sys; from schemas.reject import read_rejects; print(len(read_rejects(sys.argv[1])))"
    result = python(code, tmp_path / "rejects.parquet")
    assert result.stdout.strip() == "1", result.stderr
    assert not mark.exists()


def test_nothing_else_opens_parquet_or_arrow_files():
    other_doors = re.compile(
        r"pyarrow\.(parquet|ipc|feather|dataset|orc|fs)|from pyarrow import .*\b(parquet|ipc|feather|dataset)\b"
        r"|\bpa\.(ipc|feather|dataset|parquet)\b|read_parquet|read_feather|parquetio"
    )
    files = [path for folder in ("pipeline", "components", "schemas") for path in (PROJECT / folder).rglob("*.py")]
    offenders = [str(path) for path in files if path != PROJECT / DOOR and other_doors.search(path.read_text())]
    assert len(files) > 50
    assert offenders == []
