"""The plan of a job: parts, and who does which."""

from components.score import plan
from components.score.plan import Plan
from components.storage.entry import Entry, Source

FOLDER, PACKED = Source("folder", "/photos"), Source("tar", "/photos.tar.gz", "gz")


def planned(folder, *counts: int, size: int) -> Plan:
    """A plan of a folder and a packed tar with so many files each."""
    entries = [
        Entry(b"%d.jpg" % number, source=source) for source, count in enumerate(counts) for number in range(count)
    ]
    return plan.write(folder, iter(entries), (FOLDER, PACKED), size, lambda files: None)


def test_every_file_is_in_one_part_also_when_the_plan_is_read_again(tmp_path):
    planned(tmp_path, 120, size=50)
    held = plan.read(tmp_path)
    assert (held.files, held.parts) == (120, 3)
    assert [entry.name for number in range(3) for entry in held.part(number)] == [b"%d.jpg" % n for n in range(120)]
    assert (held.files_in({0, 2}), held.files_in(range(3))) == (70, 120)


def test_a_packed_tar_is_read_by_no_more_stretches_than_there_are_workers(tmp_path):
    held = planned(tmp_path, 20, 40, size=10)
    assert held.work_units(range(6), workers=2) == [[0], [1], [2, 3], [4, 5]]


def test_where_faces_are_looked_for_parts_are_smaller():
    # A part is done by one worker: 260 photos in one part would leave the others idle.
    assert plan.part_size("thorough") < plan.part_size("fast") < plan.part_size(None)
