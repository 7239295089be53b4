"""Workers share nothing but the staging place: wherever it is, and however often a bundle is done, the artifact is the same."""

import logging
import shutil
from collections import Counter
from pathlib import Path

import pytest

from components.ingest import face_cache, job, run, spool
from components.ingest.examples_index import making
from components.ingest.extract import FaceExtractor
from components.ingest.face_tables import places_of
from components.ingest.labels import SplitSettings
from components.ingest.settings import Settings
from components.photo import PhotoSettings
from components.step.settings import build
from components.storage import files
from components.storage.by_name import open_files
from schemas.error import VisageError
from schemas.example import decode
from schemas.record import FaceRecord
from tests.components.ingest.made_up import Archive, all_examples, ingest, picture, rejects, stored
from tests.components.storage.conftest import s3, s3_client  # noqa: F401 - fixtures

SHARDS = "ingest.shard_mb=0.03"
BOX = "source.table.box=[left,top,right,bottom]"


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Archive:
    """150 photos in order, some that stand twice, with and without agreeing labels, some of two persons, some of no use."""
    archive = Archive(tmp_path_factory.mktemp("archive")).fill(150)
    for number in range(6):
        labels = {name: archive.rows[number][name] for name in ("age", "gender")}
        archive.add(f"copy {number}.jpg", stored(picture(number)), **labels)
        archive.add(f"other age {number}.jpg", stored(picture(20 + number)), age=89)
        archive.add(f"missing {number}.jpg", None)
        photo = stored(picture(300 + number, side=120))
        archive.add(f"two {number}.jpg", photo, left=0, top=0, right=40, bottom=40, person=f"left {number}")
        archive.add(f"two {number}.jpg", None, left=80, top=80, right=120, bottom=120, person=f"right {number}")
    for row in archive.rows:
        row.update({"left": 0, "top": 0, "right": 48, "bottom": 48} | row)
    archive.write()
    return archive


@pytest.fixture(scope="module")
def alone(archive, tmp_path_factory) -> Path:
    """Its artifact, by one worker beside the output."""
    output = tmp_path_factory.mktemp("artifacts") / "alone"
    counts = ingest(archive.folder / "labels.csv", output, SHARDS, BOX, "photo.margin=0", "beam.workers=1")
    assert set(counts["rejects"]) == {"photo_missing", "duplicate", "conflicting_labels"}
    return output


def content(folder: Path) -> dict[str, bytes]:
    """All that other steps and the next ingest read."""
    paths = [*folder.glob("*/*.tfrecord"), *folder.glob("*.parquet"), folder / "index.json"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in paths}


def again(archive: Archive, output: Path, *more: str, **options) -> dict[str, bytes]:
    ingest(archive.folder / "labels.csv", output, SHARDS, BOX, "photo.margin=0", *more, **options)
    return content(output)


class TestAStore:
    @pytest.fixture(scope="class")
    def bucket(self, s3, archive):  # noqa: F811
        for file in filter(Path.is_file, archive.folder.rglob("*")):
            s3(f"archive/{file.relative_to(archive.folder)}", file.read_bytes())
        return s3

    def test_holds_all_that_workers_share_and_nothing_afterwards(self, bucket, archive, alone, tmp_path, monkeypatch):
        staged_names: set[str] = set()
        real = files.remove_folder

        def remove(folder: str) -> None:
            assert folder.startswith(bucket.url("staging/ingest-"))
            assert {file.name for file in (tmp_path / "out").iterdir()} >= {"index.json", "examples.parquet"}
            staged_names.update(name.partition("/")[0] for name in files.file_names(folder))
            real(folder)

        monkeypatch.setattr(files, "remove_folder", remove)
        output = tmp_path / "out"
        ingest(
            bucket.url("archive/labels.csv"),
            output,
            SHARDS,
            BOX,
            "photo.margin=0",
            f"beam.staging={bucket.url('staging/')}",
        )
        # Listings and rejects tell versions and places of the photos, which a store has of its own.
        actual, expected = content(output), content(alone)
        assert actual.keys() == expected.keys()
        same = [name for name in expected if not name.endswith(".parquet")]
        assert [actual[name] for name in same] == [expected[name] for name in same]
        assert staged_names == {"spool", "shards", "rejects", "contents.json", "rows.json", "started"}
        assert list(files.file_names(bucket.url("staging"))) == []

    def test_known_faces_are_brought_there(self, bucket, archive, alone, tmp_path):
        """Workers elsewhere see neither the earlier artifact nor the driver's folders."""
        earlier = shutil.copytree(alone, tmp_path / "earlier")
        staging = bucket.url("known")
        assert face_cache.stage_known(earlier, staging, making(photo_settings()), copied=True)
        shutil.rmtree(earlier)
        known = face_cache.FaceCache(staging)
        whole = (0.0, 0.0, 48.0, 48.0)
        records = [
            FaceRecord(row, "labels", f"{row % 7:02d}/{row}.jpg", f"labels:p{row // 3}", row, box=whole)
            for row in (7, 2, 89)
        ]
        photos = open_files(str(archive.folder), 1_000_000)
        faces, anew, rest = known.take(
            [*records, FaceRecord(9, "labels", "new.jpg", "")], FaceExtractor(photos, photo_settings(), SplitSettings())
        )
        assert [record.path for record in rest] == ["new.jpg"]
        assert [decode(example).path for example in (*spool.read_examples(places_of(faces)), *anew.examples)] == [
            record.path for record in records
        ]

    def test_it_must_be_there(self, archive, tmp_path, s3_client):  # noqa: F811
        with pytest.raises(VisageError, match=r"s3://no-such-bucket/.* cannot be written to") as raised:
            ingest(archive.folder / "labels.csv", tmp_path / "out", "beam.staging=s3://no-such-bucket/x")
        assert "beam.staging" in raised.value.hint


def photo_settings() -> PhotoSettings:
    return PhotoSettings(size=32, margin=0)


class TestAFolder:
    def test_of_ones_own_choice_is_left_as_it_was(self, archive, alone, tmp_path, caplog):
        elsewhere = tmp_path / "elsewhere"
        assert again(archive, tmp_path / "out", f"beam.staging={elsewhere}") == content(alone)
        assert list(elsewhere.rglob("*")) == []
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    def test_with_the_remains_of_a_killed_job_is_told_and_they_stay(self, archive, alone, tmp_path, caplog):
        remains = tmp_path / "elsewhere" / "ingest-alone" / "0123abcd" / "shards" / "train-00000-of-00009.tfrecord"
        remains.parent.mkdir(parents=True)
        remains.write_bytes(b"half")
        with caplog.at_level(logging.WARNING, "visage.ingest"):
            assert again(archive, tmp_path / "out", f"beam.staging={tmp_path / 'elsewhere'}") == content(alone)
        assert f"has left files in {tmp_path / 'elsewhere' / 'ingest-alone'}" in caplog.text
        assert remains.read_bytes() == b"half"

    def test_is_gone_after_a_failure_too(self, archive, tmp_path):
        with pytest.raises(VisageError, match="was rejected"):
            again(archive, tmp_path / "out", "photo.min_side=500", f"beam.staging={tmp_path / 'elsewhere'}")
        assert list((tmp_path / "elsewhere").rglob("*")) == []


class TestRanges:
    def test_of_digests_and_rows_do_not_show_in_the_artifact(self, archive, alone, tmp_path, monkeypatch):
        monkeypatch.setattr(job, "RANGE", 20)
        assert again(archive, tmp_path / "out", "beam.workers=3") == content(alone)
        assert again(archive, tmp_path / "next", "beam.workers=3", previous=alone) == content(alone)

    def test_are_all_that_a_worker_holds(self, archive, tmp_path, monkeypatch):
        """However many rows there are, no more come together than in a range, or in a shard."""
        sizes: dict[str, list[int]] = {"pixels": [], "sha256": [], "shard": [], "rejects": []}
        real_settled, real_shard, real_rejects = job.settled, job.write_shard, job.write_rejects_piece

        def settled(faces, column, settle):
            sizes[column].append(len(faces))
            return real_settled(faces, column, settle)

        def write_shard(staging, split, number, count, faces):
            sizes["shard"].append(len(faces))
            return real_shard(staging, split, number, count, faces)

        def write_rejects_piece(staging, number, some_rejects):
            sizes["rejects"].append(len(some_rejects))
            return real_rejects(staging, number, some_rejects)

        monkeypatch.setattr(job, "RANGE", 20)
        for name, patched in (
            ("settled", settled),
            ("write_shard", write_shard),
            ("write_rejects_piece", write_rejects_piece),
        ):
            monkeypatch.setattr(job, name, patched)
        again(archive, tmp_path / "out", "beam.workers=2")
        assert sum(sizes["pixels"]) == 150 + 24
        assert max(sizes["pixels"]) <= 2 * 20 and max(sizes["sha256"]) <= 2 * 20 and max(sizes["rejects"]) <= 20
        assert len(sizes["rejects"]) > 1 and len(sizes["shard"]) > 4


class TestBundles:
    def test_that_are_done_twice_change_nothing(self, archive, alone, tmp_path, monkeypatch):
        """What a runner does when a worker is slow or lost: all is done once more, and one of the outcomes counts."""

        def twice(real):
            def process(self, *arguments):
                list(real(self, *arguments))
                yield from real(self, *arguments)

            return process

        for stage in (job.ReadRecords, job.WriteShard, job.WriteRejects, job.WriteContents):
            monkeypatch.setattr(stage, "process", twice(stage.process))
        real = job.ExtractFaces.process

        def extract_twice(self, group):
            group = group[0], list(group[1])
            list(real(self, group))
            self.start_bundle()
            yield from real(self, group)

        monkeypatch.setattr(job.ExtractFaces, "process", extract_twice)
        assert again(archive, tmp_path / "out") == content(alone)

    def test_whose_pieces_differ_are_told_apart_by_what_was_committed(self, archive, tmp_path, monkeypatch):
        """A shard that another try left, with other faces: it lies beside the one that counts, under another name."""
        real = job.write_shard

        def write_shard(staging, split, number, count, faces):
            real(staging, split, number, count, faces.slice(1))
            return real(staging, split, number, count, faces)

        monkeypatch.setattr(job, "write_shard", write_shard)
        again(archive, tmp_path / "out")
        counted = Counter(example.path for example in all_examples(tmp_path / "out"))
        assert counted.total() + len(rejects(tmp_path / "out")) == len(archive.rows)


class TestPaths:
    def test_are_whole_when_the_job_is_submitted(self, archive, alone, tmp_path, monkeypatch):
        monkeypatch.chdir(archive.folder.parent)
        calls = []
        real = job.build

        def build_job(pipeline, settings, *more):
            calls.append((settings.source, more[0]))
            real(pipeline, settings, *more)

        monkeypatch.setattr(job, "build", build_job)
        name = archive.folder.name
        photos = f"source.photos=../{Path.cwd().name}/{name}"
        ingest(Path(name) / "labels.csv", tmp_path / "out", SHARDS, BOX, "photo.margin=0", photos)
        ((source, staging),) = calls
        assert Path(source.path) == archive.folder / "labels.csv"
        assert Path(source.photos).is_absolute() and Path(source.photos).samefile(archive.folder)
        assert Path(staging).is_absolute()
        assert content(tmp_path / "out") == content(alone)

    def test_of_a_store_and_of_the_home_folder_are_too(self):
        settings = build(Settings, {"source": {"path": "~/faces", "photos": "s3://bucket/faces"}})
        source = run._with_absolute_paths(settings).source
        assert (source.path, source.photos) == (str(Path("~/faces").expanduser()), "s3://bucket/faces")
