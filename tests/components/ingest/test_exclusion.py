"""What is left out by name: patterns, and lists in files."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.ingest.exclusion import Exclusion
from schemas.error import VisageError
from schemas.record import FaceRecord


def record(path: str, person: str = "imdb:1") -> FaceRecord:
    return FaceRecord(0, "imdb", path, person)


def parquet(columns: dict[str, list]) -> bytes:
    written = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), written)
    return written.getvalue().to_pybytes()


def test_patterns_name_persons_and_paths():
    exclusion = Exclusion.of(("bad/*", "imdb:17*"), "")
    assert exclusion.reason(record("bad/1.jpg")) == "named in ingest.exclude"
    assert exclusion.reason(record("1.jpg", "imdb:171"))
    assert not exclusion.reason(record("1.jpg"))


def test_a_csv_names_photos_of_any_data_set_or_of_one(tmp_path):
    (tmp_path / "any.csv").write_text("path\na.jpg\n7\n")
    exclusion = Exclusion.of((), str(tmp_path / "any.csv"))
    assert exclusion.reason(record("a.jpg")) == "named in ingest.exclude_list"
    (tmp_path / "one.csv").write_text("source,path\nwiki,a.jpg\nimdb,b.jpg\n")
    exclusion = Exclusion.of((), str(tmp_path / "one.csv"))
    assert not exclusion.reason(record("a.jpg"))
    assert exclusion.reason(record("b.jpg"))


def test_a_csv_with_numbers_for_names_is_taken_as_it_is_written(tmp_path):
    (tmp_path / "list.csv").write_text("path\n007\n1.10\n")
    exclusion = Exclusion.of((), str(tmp_path / "list.csv"))
    assert exclusion.reason(record("007")) and exclusion.reason(record("1.10"))
    assert not exclusion.reason(record("7"))


def test_only_rows_that_are_likely_wrong_count_where_a_column_says_so(tmp_path):
    (tmp_path / "list.csv").write_text("path,likely_wrong\na.jpg,true\nb.jpg,false\nc.jpg,\n")
    exclusion = Exclusion.of((), str(tmp_path / "list.csv"))
    assert [bool(exclusion.reason(record(f"{name}.jpg"))) for name in "abc"] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.csv", b"photo\na.jpg\n", "has no column path, but photo"),
        ("list.parquet", b"no parquet", "cannot be read"),
        ("empty.csv", b"", "cannot be read"),
        ("wrong.csv", b"path,likely_wrong\na.jpg,yes\n", "cannot be read: .*yes"),
        ("latin.csv", "path\nmüller.jpg\n".encode("cp1252"), "cannot be read: .*UTF8"),
        ("twice.csv", b"path,path\na.jpg,b.jpg\n", "has 2 columns path"),
        ("nested.parquet", parquet({"path": [["a.jpg"]]}), "cannot be read: .*list<"),
        (None, b"", "missing.csv"),
    ],
)
def test_a_file_that_is_no_list_is_one_message(name, content, message, tmp_path):
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(VisageError, match=message):
        Exclusion.of((), str(tmp_path / (name or "missing.csv")))
