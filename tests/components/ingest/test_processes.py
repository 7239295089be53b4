"""Processes that take faces: the same outcome as without them, and no process that outlives its ingest."""

import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from components.ingest import processes
from components.ingest.face_tables import faces_of, places_of, table_of
from components.ingest.faces import Rows, write_rows
from components.ingest.labels import SplitSettings
from components.ingest.settings import Settings
from components.ingest.spool import read_examples
from components.photo import PhotoSettings
from components.step.settings import build
from schemas.error import VisageError
from schemas.example import decode
from schemas.record import FaceRecord
from tests.components.ingest.made_up import Archive, ingest, picture, rejects, shard_bytes, stored


@pytest.fixture
def running(tmp_path):
    """Two processes over a folder with one photo."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(stored(picture(1)))
    staging = str(tmp_path / "staging")
    started = processes.Processes(2, (str(tmp_path / "photos"), "", PhotoSettings(), SplitSettings(), staging))
    yield started
    started.close()


RECORDS = [
    FaceRecord(0, "made up", "one.jpg", "p:1", 30, None, "female"),
    FaceRecord(1, "made up", "two.jpg", "p:2", 40),
]


def test_the_outcome_is_the_same_with_and_without(tmp_path, monkeypatch):
    archive = Archive(tmp_path / "archive").fill(300)
    archive.add("broken.jpg", stored(picture(500))[:-30])
    archive.add("missing.jpg", None)
    source = archive.write()
    ingest(source, tmp_path / "without", "beam.workers=1")
    monkeypatch.setattr(processes, "ENOUGH", 0)
    batch_sizes = []
    real = processes.Processes.take

    def take(self, records):
        batch_sizes.append(len(records))
        return real(self, records)

    monkeypatch.setattr(processes.Processes, "take", take)
    ingest(source, tmp_path / "with", "beam.workers=3")
    assert sorted(batch_sizes) == [46, 256]
    assert shard_bytes(tmp_path / "with") == shard_bytes(tmp_path / "without")
    assert rejects(tmp_path / "with") == rejects(tmp_path / "without")
    source = archive.fill(200, first=600).write()
    ingest(source, tmp_path / "more alone", "beam.workers=1")
    ingest(source, tmp_path / "more", "beam.workers=3", previous=tmp_path / "with")
    assert sum(batch_sizes) == 302 + 202
    assert shard_bytes(tmp_path / "more") == shard_bytes(tmp_path / "more alone")


def test_faces_and_rejects_come_back(running):
    rows, rejects = running.take(RECORDS)
    faces = table_of(rows)
    assert faces_of(faces)[0].record == RECORDS[0]
    assert [decode(example).path for example in read_examples(places_of(faces))] == ["one.jpg"]
    assert [(reject.path, reject.reason) for reject in rejects] == [("two.jpg", "photo_missing")]


def test_a_process_has_not_to_wait_for_large_packages():
    large = ("pyarrow", "pandas", "apache_beam", "tensorflow")
    code = f"import sys, components.ingest.processes; sys.exit(', '.join(set({large}) & set(sys.modules)) or None)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_goes_wrong_in_a_process_is_told(running, tmp_path):
    running.take(RECORDS)
    shutil.rmtree(tmp_path / "staging")
    (tmp_path / "staging").touch()
    with pytest.raises(NotADirectoryError):
        running.take(RECORDS)
    (tmp_path / "staging").unlink()
    rows, _ = running.take(RECORDS)
    assert [face.record for face in faces_of(table_of(rows))] == RECORDS[:1]


def test_a_killed_process_is_one_message(running):
    running.take(RECORDS)
    for process in psutil.Process(running._process.pid).children():
        process.kill()
    running._process.kill()
    with pytest.raises(VisageError, match="has ended, perhaps killed for want of memory"):
        running.take(RECORDS)


def test_one_killed_process_of_two_is_noticed_too(running):
    running.take(RECORDS)
    (forked,) = psutil.Process(running._process.pid).children()
    forked.kill()
    with pytest.raises(VisageError, match="has ended"):
        for _ in range(2):
            running.take(RECORDS)


def test_few_photos_a_cluster_and_one_worker_need_none(tmp_path):
    staging = str(tmp_path / "staging")
    write_rows(staging, Rows(10_000, processes.ENOUGH - 1))
    several = build(Settings, {"source": {"path": str(tmp_path)}, "beam": {"workers": 2}})
    with processes.processes(several, staging):
        assert processes.running(staging) is None
        write_rows(staging, Rows(10_000, processes.ENOUGH))
        assert processes.running(staging)
    assert processes.running(staging) is None
    for other in ("beam.workers=1", "beam.runner=flink", "source.photos=gs://bucket/photos"):
        with processes.processes(build(Settings, several.model_dump(), [other]), staging):
            assert processes.running(staging) is None


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_they_end_with_the_one_who_started_them(tmp_path, ending):
    source = Archive(tmp_path / "archive").fill(10).write()
    code = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from components.ingest.labels import SplitSettings
from components.ingest.processes import Processes
from components.photo import PhotoSettings
pool = Processes(2, ({str(source.parent)!r}, "", PhotoSettings(), SplitSettings(), {str(tmp_path)!r}))
pool.start()
print("started", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as started:
        assert started.stdout and started.stdout.readline() == b"started\n"
        children: list[psutil.Process] = []
        while len(children) < 2:
            time.sleep(0.05)
            children = psutil.Process(started.pid).children(recursive=True)
        os.killpg(started.pid, ending) if ending == signal.SIGINT else started.kill()
    _, alive = psutil.wait_procs(children, timeout=300)
    assert not alive
