"""All parts together: files of a good size, and figures of all that was scored."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.score import parts, summary
from components.score.parts import Counts, Part
from components.score.plan import Plan
from components.score.summary import Sample
from schemas.error import VisageError
from schemas.reject import Reject
from schemas.score import arrow_schema


class TestSample:
    @pytest.mark.parametrize("size", [7, 100])
    def test_faces_are_taken_evenly_and_no_more_than_asked_for(self, monkeypatch, size):
        monkeypatch.setattr(summary, "SAMPLE", 100)
        sample = Sample()
        for start in range(0, 1000, size):
            numbers = range(start, min(start + size, 1000))
            sample.add(pd.DataFrame({"age": numbers, "gender": ["female"] * len(numbers)}))
        assert list(sample.table()["age"]) == list(range(0, 1000, 16))

    def test_of_few_all_are_taken(self):
        sample = Sample()
        sample.add(pd.DataFrame({"age": [1.0, 2.0], "gender": ["male", None]}))
        assert list(sample.table()["age"]) == [1, 2]
        assert list(Sample().table().columns) == ["age", "gender"]


def write_parts(folder: Path, count: int, faces: int) -> Plan:
    """Parts of a job, each with so many faces and one reject."""
    for number in range(count):
        row = {"path": f"{number}.jpg", "age": 30 + number, "gender": "male", "face_count": faces}
        table = pa.Table.from_pylist(
            [row | {"face_index": index, "scored_at": datetime.now(UTC)} for index in range(faces)],
            schema=arrow_schema(),
        )
        part = Part.of(table, [Reject("", f"{number}.txt", "", "not_a_photo")], (), Counts(2, 1, 0, 1, faces))
        parts.keep(str(folder), number, part)
    return Plan("", (), 2 * count, 2, 1000, ())


def test_rows_lie_in_files_and_row_groups_of_a_good_size_in_the_order_of_the_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "ROWS", 40)
    monkeypatch.setattr(summary, "ROW_GROUP", 15)
    planned = write_parts(tmp_path / "parts", 12, faces=10)
    out = tmp_path / "out"
    collected = summary.collect(str(tmp_path / "parts"), planned, str(out), lambda count: None)
    files = sorted((out / "scores").iterdir())
    assert [pq.read_metadata(file).num_rows for file in files] == [40, 40, 40]
    assert [pq.read_metadata(file).num_row_groups for file in files] == [2, 2, 2]
    paths = pq.read_table(out / "scores")["path"].to_pylist()
    assert paths == [f"{number}.jpg" for number in range(12) for _ in range(10)]
    assert len(pq.read_table(out / "rejects.parquet")) == 12
    figures = summary.figures(collected)
    assert (figures["photos"], figures["scored"], figures["rejected"], figures["faces"]) == (24, 12, 12, 120)
    assert figures["ages"] == {"30-39": 100, "40-49": 20} and figures["age_mean"] == 35.5


def test_files_of_an_earlier_try_do_not_stay(tmp_path):
    (tmp_path / "out" / "scores").mkdir(parents=True)
    (tmp_path / "out" / "scores" / "scores-00007.parquet").write_bytes(b"")
    planned = write_parts(tmp_path / "parts", 1, faces=1)
    summary.collect(str(tmp_path / "parts"), planned, str(tmp_path / "out"), lambda count: None)
    assert [file.name for file in (tmp_path / "out" / "scores").iterdir()] == ["scores-00000.parquet"]


@pytest.mark.parametrize("parts_there", [2, 4])
def test_a_sum_that_is_not_what_was_listed_is_an_error(tmp_path, parts_there):
    write_parts(tmp_path / "parts", parts_there, faces=1)
    planned = Plan("", (), 7, 2, 1000, ())
    with pytest.raises(
        VisageError, match=f"Of 7 photos {2 * parts_there} are accounted for in {parts_there} of 4 parts"
    ):
        summary.collect(str(tmp_path / "parts"), planned, str(tmp_path / "out"), lambda count: None)
    assert not (tmp_path / "out" / "rejects.parquet").exists()
