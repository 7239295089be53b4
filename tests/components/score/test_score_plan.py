"""The plan of a job: parts, and who does which."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.score import plan
from components.score.plan import Plan
from components.storage.entry import Entry, Source
from schemas.error import VisageError

FOLDER, PACKED = Source("folder", "/photos"), Source("tar", "/photos.tar.gz", "gz")


def listed(*counts: int) -> Iterator[Entry]:
    for source, count in enumerate(counts):
        yield from (Entry(b"%d.jpg" % number, source=source) for number in range(count))


def planned(folder: str | Path, *counts: int, size: int) -> Plan:
    """A plan of a folder, a packed tar, a folder ... with so many files each."""
    return plan.write(str(folder), listed(*counts), (FOLDER, PACKED) * 2, size, lambda count: None)


@pytest.fixture
def small_files(monkeypatch) -> None:
    """Files of the plan with a few parts each."""
    monkeypatch.setattr(plan, "ENTRIES", 30)


@pytest.mark.parametrize("where", ["here", "bucket"])
def test_every_file_is_in_one_part_also_when_the_plan_is_read_again(tmp_path, where, request, small_files):
    folder = str(tmp_path) if where == "here" else request.getfixturevalue("s3").url("plan")
    assert planned(folder, 125, size=10).parts == 13
    reread = plan.read(folder)
    assert (reread.files, reread.parts) == (125, 13)
    entries = [entry for number in range(13) for entry in reread.part(number)]
    assert entries == list(listed(125))
    assert (reread.files_in({0, 12}), reread.files_in(range(13))) == (15, 125)


def test_a_plan_that_was_not_written_to_its_end_is_none(tmp_path, small_files):
    def cut_short() -> Iterator[Entry]:
        yield from listed(100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan.write(str(tmp_path), cut_short(), (FOLDER,), 10, lambda count: None)
    assert any(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        plan.read(str(tmp_path))
    assert planned(tmp_path, 20, size=10) == plan.read(str(tmp_path))


def test_a_part_that_cannot_be_read_is_one_message(tmp_path):
    whole = planned(tmp_path, 20, size=10)
    for file in tmp_path.glob("*.arrow"):
        file.unlink()
    with pytest.raises(VisageError, match="cannot be read: No such file"):
        whole.part(0)


def test_workers_get_the_parts_in_stretches_of_a_file_of_the_plan(tmp_path, small_files):
    assert list(planned(tmp_path, 75, size=10).stretches()) == [(0, 3), (3, 6), (6, 8)]


def test_a_packed_tar_is_read_by_no_more_stretches_than_there_are_workers(tmp_path, small_files):
    with_tars = planned(tmp_path, 20, 50, 20, 10, size=10)
    assert with_tars.streams == ((2, 7), (9, 10))
    assert list(with_tars.of_streams(workers=2)) == [(2, 5), (5, 7), (9, 10)]
    assert list(with_tars.stretches()) == [(0, 2), (7, 9)]


def test_where_faces_are_looked_for_parts_are_smaller():
    # A part is done by one worker: 260 photos in one part would leave the others idle.
    assert plan.part_size("thorough") < plan.part_size("fast") < plan.part_size(None)


def test_a_plan_of_many_files_takes_no_more_memory_than_one_of_few(tmp_path):
    def peak(count: int) -> int:
        tracemalloc.start()
        long_plan = planned(tmp_path / str(count), count, size=20)
        stretches = list(long_plan.stretches())
        long_plan.part(long_plan.parts - 1)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(stretches) == count // plan.ENTRIES
        return most

    peak(5_000)  # which imports what it needs
    assert peak(40_000) < 1.5 * peak(10_000)
