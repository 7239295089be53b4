"""What the identity of a job's input covers: everything that the job would read."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.storage.state import MISSING, state_of, state_under, states


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    for name in ("1.jpg", "a/2.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


def changed(place: str, path: Path, data: bytes = b"new content") -> bool:
    """Whether the state of a place is another one after a file was written."""
    before = state_of(place)
    assert state_of(place) == before
    path.write_bytes(data)
    return state_of(place) != before


class TestAFolder:
    def test_a_photo_more_one_less_and_a_changed_one_are_other_states(self, photos):
        assert changed(str(photos), photos / "3.jpg")
        assert changed(str(photos), photos / "a" / "2.jpg", b"a/3.jpg")
        before = state_of(str(photos))
        (photos / "3.jpg").unlink()
        assert state_of(str(photos)) != before

    def test_the_same_size_written_at_another_time_is_another_state(self, photos):
        before = state_of(str(photos))
        os.utime(photos / "1.jpg", ns=(1, 1))
        assert state_of(str(photos)) != before

    def test_wherever_it_lies_and_however_it_is_named_it_is_the_same(self, photos, monkeypatch):
        before = state_of(str(photos))
        moved = photos.rename(photos.parent / "moved house")
        monkeypatch.setenv("HOME", str(photos.parent))
        for place in (str(moved), f"{moved}/", "~/moved house", f"file://{photos.parent}/moved%20house"):
            assert state_of(place) == before

    def test_folders_behind_links_are_looked_into(self, photos, tmp_path):
        (tmp_path / "disk").mkdir()
        (photos / "linked").symlink_to(tmp_path / "disk")
        (tmp_path / "disk" / "deep").mkdir()
        assert changed(str(photos), tmp_path / "disk" / "deep" / "4.jpg")

    def test_the_file_behind_a_link_counts(self, photos, tmp_path):
        (tmp_path / "5.jpg").write_bytes(b"5")
        (photos / "5.jpg").symlink_to(tmp_path / "5.jpg")
        assert changed(str(photos), tmp_path / "5.jpg")

    def test_links_that_go_round_come_to_an_end(self, photos):
        (photos / "round").symlink_to(photos)
        (photos / "a" / "up").symlink_to("..")
        (photos / "itself").symlink_to("itself")
        assert sorted(state.name for state in states(str(photos))) == ["1.jpg", "a/2.jpg", "itself"]


class TestAPattern:
    def test_a_new_file_that_fits_is_another_state_one_that_does_not_is_none(self, photos):
        assert changed(f"{photos}/*.jpg", photos / "3.jpg")
        assert not changed(f"{photos}/*.jpg", photos / "3.png")
        assert changed(f"{photos}/**/*.jpg", photos / "a" / "4.jpg")
        assert changed(f"{photos}/*", photos / "a" / "5.jpg")

    def test_one_that_fits_nothing_yet(self, photos):
        assert changed(f"{photos}/*.tif", photos / "3.tif")

    def test_a_file_that_looks_like_a_pattern(self, photos):
        (photos / "[1].jpg").write_bytes(b"")
        assert changed(f"{photos}/[1].jpg", photos / "[1].jpg")


class TestAList:
    @pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.parquet"])
    def test_the_files_that_it_names_count(self, photos, name):
        paths = ["1.jpg", "a/2.jpg", "late.jpg"]
        if name.endswith("parquet"):
            pq.write_table(pa.table({"path": paths}), photos / name)
        else:
            (photos / name).write_text("\n".join(["path", *paths] if name.endswith("csv") else paths))
        assert changed(str(photos / name), photos / "1.jpg")
        assert changed(str(photos / name), photos / "late.jpg")
        assert not changed(str(photos / name), photos / "other.jpg")
        (photos / name).touch()
        os.utime(photos / name, ns=(5, 5))
        assert state_of(str(photos / name)) != state_of(str(photos))

    def test_a_table_of_another_kind_is_a_file_like_any(self, photos):
        (photos / "labels.csv").write_text("image,age\n1.jpg,3\n")
        assert not changed(str(photos / "labels.csv"), photos / "1.jpg")
        assert changed(str(photos / "labels.csv"), photos / "labels.csv")

    def test_the_files_that_a_table_names_under_its_root(self, photos):
        before = state_under(str(photos), ["1.jpg", "a\\2.jpg"])
        (photos / "other.jpg").write_bytes(b"")
        assert state_under(str(photos), ["1.jpg", "a\\2.jpg"]) == before
        (photos / "a" / "2.jpg").write_bytes(b"other")
        assert state_under(str(photos), ["1.jpg", "a\\2.jpg"]) != before


def test_what_is_not_there_has_a_state_until_it_comes(tmp_path):
    assert [state.size for state in states(str(tmp_path / "photos.zip"))] == [MISSING]
    assert changed(str(tmp_path / "photos.zip"), tmp_path / "photos.zip")
    assert state_of("") == state_of("")


def test_a_local_place_imports_nothing_heavy(photos):
    (photos / "list.txt").write_text("1.jpg\n")
    code = (
        "import sys; from components.storage.state import state_of; state_of(sys.argv[1]); state_of(sys.argv[1] + '/list.txt');"
        "print([name for name in ('fsspec', 'pyarrow', 'numpy', 'PIL', 'apache_beam') if name in sys.modules])"
    )
    completed = subprocess.run([sys.executable, "-c", code, str(photos)], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "[]"
