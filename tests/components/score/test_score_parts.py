"""What is kept of a part, in a folder and in a store."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from components.score import parts
from components.score.parts import Counts, Part
from schemas.reject import Reject
from schemas.reject import arrow_schema as rejects_schema
from schemas.score import arrow_schema


@pytest.fixture(params=["local", "bucket"])
def folder(request, tmp_path) -> str:
    return f"{tmp_path}/parts" if request.param == "local" else request.getfixturevalue("s3").url(tmp_path.name)


def part(name: str, pictures: tuple[bytes, ...] = ()) -> Part:
    row = {"path": name, "age": 30.5, "face_count": 1, "scored_at": datetime(2026, 1, 2, tzinfo=UTC)}
    scores = pa.Table.from_pylist([row], schema=arrow_schema())
    return Part.of(scores, [Reject("/zip", "a.txt", "", "not_a_photo", "text")], pictures, Counts(2, 1, 0, 1, 1))


def test_parts_come_back_as_they_were_kept_and_in_the_order_asked_for(folder):
    assert parts.done(folder) == set() and not parts.is_done(folder, 0)
    for number in range(40):
        parts.keep(folder, number, part(f"{number}.jpg", (b"picture",) * (number % 3)))
    assert parts.done(folder) == set(range(40)) and parts.is_done(folder, 39)
    read_parts = list(parts.read(folder, reversed(range(40))))
    assert [read_part.scores["path"][0].as_py() for read_part in read_parts] == [
        f"{number}.jpg" for number in reversed(range(40))
    ]
    assert read_parts[0].scores.schema.equals(arrow_schema(), check_metadata=True)
    assert read_parts[0].rejects.schema.equals(rejects_schema())
    assert read_parts[0].rejects.to_pylist()[0]["detail"] == "text"
    assert read_parts[0].counts == Counts(photos=2, scored=1, rejected=1, faces=1)
    assert [len(read_part.pictures) for read_part in read_parts[:3]] == [0, 2, 1] and read_parts[1].pictures[
        0
    ] == b"picture"


def test_a_part_that_is_kept_twice_is_there_once(folder):
    for name in ("first.jpg", "second.jpg"):
        parts.keep(folder, 3, part(name))
    assert parts.done(folder) == {3}
    assert [read_part.scores["path"].to_pylist() for read_part in parts.read(folder, [3])] == [["second.jpg"]]


def test_a_missing_part_is_a_file_not_found(folder):
    parts.keep(folder, 0, part("0.jpg"))
    with pytest.raises(FileNotFoundError):
        list(parts.read(folder, [0, 1]))
