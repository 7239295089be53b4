"""`visage demo-data`: a small made-up archive in IMDB-WIKI's own layout."""

import errno
import fcntl
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from components.ingest.labels import FilterSettings, reject_of
from components.ingest.sources import records
from components.ingest.sources.settings import SourceSettings
from pipeline.demo.archive import draw_archive
from pipeline.demo.plan import RATES, expected, plan_rows
from schemas.error import VisageError

PHOTOS, SEED = 300, 4
NAME = re.compile(r"(\d\d)/nm\d*(\d\d)_rm\d{10}_(\d{4})-(\d{1,2})-(\d{1,2})_(\d{4})\.jpg")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "imdb crop"
    draw_archive(out, PHOTOS, SEED)
    return out


@pytest.fixture(scope="module")
def table(archive):
    """The struct's fields as flat columns."""
    struct = loadmat(archive / "imdb.mat", squeeze_me=True)["imdb"][()]
    return {name: struct[name][()] for name in struct.dtype.names}


@pytest.fixture(scope="module")
def counts(archive):
    return json.loads((archive / "expected.json").read_text())


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_photo(data):
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return False
    return True


class TestMetadata:
    def test_is_matlab_5_with_the_published_fields_shapes_and_types(self, archive, counts):
        assert (archive / "imdb.mat").read_bytes().startswith(b"MATLAB 5.0 MAT-file")
        struct = loadmat(archive / "imdb.mat")["imdb"]
        assert struct.shape == (1, 1)
        assert {name: struct[0, 0][name].dtype for name in struct.dtype.names} == {
            "dob": np.int32, "photo_taken": np.uint16, "full_path": object, "gender": float, "name": object,
            "face_location": object, "face_score": float, "second_face_score": float, "celeb_names": object,
            "celeb_id": float,
        }  # fmt: skip
        for name in struct.dtype.names:
            assert struct[0, 0][name].shape == (1, counts["persons" if name == "celeb_names" else "rows"]), name
        assert struct[0, 0]["face_location"][0, 0].shape == (1, 4)

    def test_paths_are_unique_and_tell_the_person_and_the_same_dates_as_the_columns(self, table):
        matches = [NAME.fullmatch(path) for path in table["full_path"]]
        for path, born, year in zip(matches, table["dob"], table["photo_taken"], strict=True):
            if path:
                assert path[1] == path[2]
                assert date(int(path[3]), int(path[4]), int(path[5])).toordinal() + 366 == born
                assert int(path[6]) == year
        assert sum(map(bool, matches)) > 0.98 * len(matches)
        assert len(set(table["full_path"])) == len(matches)

    def test_a_person_has_one_name_one_birth_one_gender_and_several_photos(self, table):
        for column in ("name", "dob", "gender"):
            pairs = {(person, str(value)) for person, value in zip(table["celeb_id"], table[column], strict=True)}
            assert len(pairs) == len(table["celeb_names"]), column
        assert list(table["name"]) == [table["celeb_names"][int(person) - 1] for person in table["celeb_id"]]
        assert len(table["celeb_id"]) / len(table["celeb_names"]) > 3

    def test_ages_spread_over_a_life(self, table):
        years = table["photo_taken"] - np.array([date.fromordinal(int(day) - 366).year for day in table["dob"]])
        youngest, median, oldest = np.percentile(years[(years >= 0) & (years <= 100)], (5, 50, 95))
        assert youngest < 12 and 28 < median < 45 and oldest > 70


class TestPhotos:
    def test_as_many_rows_have_a_photo_as_were_asked_for(self, archive, table, counts):
        there = [path for path in table["full_path"] if (archive / path).is_file()]
        assert len(there) == len(list(archive.glob("*/*"))) == PHOTOS < counts["rows"] < 1.03 * PHOTOS

    def test_sizes_and_colour_modes_vary_and_boxes_are_the_whole_photo(self, archive, table):
        kinds, sizes = set(), set()
        for path, box in zip(table["full_path"], table["face_location"], strict=True):
            if (archive / path).is_file():
                with Image.open(archive / path) as photo:
                    # A photo that lies on its side has its sides the other way round.
                    assert sorted(box[2:]) == sorted(photo.size) and box[:2].tolist() == [1, 1]
                    sizes.add(photo.size)
                    kinds |= {photo.mode, f"progressive {photo.info.get('progressive', 0)}", *dict(photo.getexif())}
        assert kinds == {"RGB", "L", "CMYK", "progressive 0", "progressive 1", 0x0112}
        assert len(sizes) > 50 and min(map(min, sizes)) >= 80


class TestDefects:
    def test_an_ingest_under_the_usual_filter_must_count_what_is_expected(self, archive, counts):
        reasons: Counter[str] = Counter()
        by_picture = defaultdict(list)
        for record in records(SourceSettings(path=str(archive))):
            reject, path = reject_of(record, FilterSettings()), archive / record.path
            if reject or not path.is_file() or not is_photo(path.read_bytes()):
                reasons[reject[0] if reject else "photo_unreadable" if path.is_file() else "photo_missing"] += 1
            else:
                by_picture[hashlib.sha256(path.read_bytes()).digest()].append((record.age or 0, record.gender))
        for labels in by_picture.values():
            agree = len(set(labels)) == 1
            reasons["duplicate" if agree else "conflicting_labels"] += len(labels) - agree
            assert agree or max(labels)[0] - min(labels)[0] >= 20
        assert {reason: count for reason, count in reasons.items() if count} == counts["rejects"]
        assert counts["examples"] == counts["rows"] - reasons.total()

    def test_every_reason_stands_in_an_archive_of_usual_size(self):
        totals = expected(plan_rows(2000, 1))
        assert set(totals["rejects"]) == set(RATES)
        # Where several meet in one row, the first counts; no_face is the commonest and far behind in precedence.
        assert totals["rejects"]["no_face"] == pytest.approx(0.289 * 2000, rel=0.15)
        assert totals["rejects"]["conflicting_labels"] == 2 * round(0.009 * 2000)
        assert 0.5 < totals["examples"] / totals["rows"] < 0.62


def test_the_album_holds_photos_of_other_people_and_a_few_broken_files(archive, counts):
    with zipfile.ZipFile(archive / "album.zip") as album:
        files = [album.read(name) for name in album.namelist()]
    assert not set(files) & set(contents(archive).values())
    assert counts["album"] == {"photos": len(files), "broken": sum(not is_photo(data) for data in files)}
    assert 0 < counts["album"]["broken"] < 0.2 * len(files)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_people(tmp_path):
    for name, seed in (("one", 9), ("again", 9), ("other", 8)):
        draw_archive(tmp_path / name, 20, seed)
    one, again, other = (contents(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    assert set(one) & set(other) == {"imdb.mat", "album.zip", "expected.json"}


class TestWhatIsThere:
    def test_the_same_archive_is_reused_untouched(self, archive, counts):
        before = (archive / "imdb.mat").stat()
        assert draw_archive(archive, PHOTOS, SEED) == {**counts, "reused": True}
        assert (archive / "imdb.mat").stat() == before

    def test_an_empty_folder_is_filled_and_parents_are_made(self, tmp_path):
        (tmp_path / "empty").mkdir()
        assert not draw_archive(tmp_path / "empty", 3, 1)["reused"]
        assert not draw_archive(tmp_path / "new" / "deep", 3, 1)["reused"]

    def test_nothing_else_is_overwritten(self, archive, tmp_path):
        (tmp_path / "thesis.txt").write_text("years of work")
        for out in (archive, tmp_path, tmp_path / "thesis.txt"):
            with pytest.raises(VisageError, match=f"is not this version's demo archive of 3 photos and seed {SEED}"):
                draw_archive(out, 3, SEED)
        assert contents(tmp_path) == {"thesis.txt": b"years of work"}

    def test_an_archive_that_lost_a_photo_is_not_taken_for_whole(self, tmp_path):
        draw_archive(tmp_path / "demo", 5, 1)
        next((tmp_path / "demo").glob("*/*.jpg")).unlink()
        with pytest.raises(VisageError, match="not all of it"):
            draw_archive(tmp_path / "demo", 5, 1)


class TestTrouble:
    @pytest.mark.parametrize(("photos", "seed"), [(0, 1), (-5, 1), (10**9, 1), (10, -1)])
    def test_wrong_arguments(self, tmp_path, photos, seed):
        with pytest.raises(VisageError, match="must") as caught:
            draw_archive(tmp_path / "demo", photos, seed)
        assert caught.value.usage
        assert not list(tmp_path.iterdir())

    def test_what_cannot_be_written_is_one_message_and_leaves_nothing(self, tmp_path, monkeypatch):
        written: list[Path] = []

        def write(path, data):
            if len(written) > 7:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            written.append(path)

        monkeypatch.setattr(Path, "write_bytes", write)
        with pytest.raises(VisageError, match="cannot be written: No space left on device"):
            draw_archive(tmp_path / "demo", 20, 1)
        assert not list(tmp_path.iterdir())

    def test_a_parent_that_is_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(VisageError, match="cannot be written: Not a directory"):
            draw_archive(tmp_path / "file" / "demo", 3, 1)

    def test_two_commands_do_not_draw_into_one_folder(self, tmp_path):
        (tmp_path / ".demo.partial").mkdir()
        lock = os.open(tmp_path / ".demo.partial", os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(VisageError, match=r"Another command is drawing .*demo"):
            draw_archive(tmp_path / "demo", 3, 1)
        os.close(lock)
        assert not draw_archive(tmp_path / "demo", 3, 1)["reused"]

    def test_killed_it_leaves_no_archive_and_nothing_in_the_way_of_another_command(self, tmp_path):
        out = tmp_path / "demo"
        code = f"from pipeline.demo.archive import draw_archive; draw_archive({str(out)!r}, 5000, 6)"
        running = subprocess.Popen([sys.executable, "-c", code])
        while not list(tmp_path.glob(".demo.partial/*/*.jpg")) and running.poll() is None:
            time.sleep(0.02)
        running.kill()
        running.wait()
        assert [path.name for path in tmp_path.iterdir()] == [".demo.partial"]
        assert not draw_archive(out, 9, 5)["reused"]
        assert [path.name for path in tmp_path.iterdir()] == ["demo"]
        assert draw_archive(out, 9, 5)["reused"]  # which counts its photos

    def test_progress_is_told_up_to_the_end(self, tmp_path):
        calls = []
        draw_archive(tmp_path / "demo", 12, 1, progress=lambda done, total: calls.append((done, total)))
        assert calls == [(done, 32) for done in range(1, 33)]
