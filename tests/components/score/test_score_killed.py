"""A scoring job that is killed with kill -9, again and again, and goes on each time."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.storage import files
from schemas.reject import read_rejects
from tests.components.score import killable, made_photos
from tests.components.score.made_photos import jpeg, tarred
from tests.components.score.test_score_step import kept_parts

PHOTOS = 150

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # jobs that are started again and again


def done(output: Path) -> int:
    return len(kept_parts(output))


def test_one_with_its_scores_in_a_bucket_goes_on_too(registered, s3, tmp_path):
    faces = made_photos.folder(tmp_path / "faces", 60)
    output = s3.url("output")

    def parts_done() -> int:
        return sum("/parts/" in name for name in files.file_names(output))

    points = {
        "the model on its way": lambda: any(name.endswith(".zip") for name in files.file_names(output)),
        "some parts done": lambda: parts_done() >= 3,
        "being collected": lambda: files.exists(f"{output}/rejects.parquet"),
    }
    before = 0
    for name, happened in points.items():
        process = killable.start(registered, [faces], output)
        killable.kill_when(process, happened)
        all_done = files.exists(f"{output}/manifest.json")  # it was killed too late: parts have had their time
        assert parts_done() >= before or all_done, f"{name}: a finished part is gone"
        before = parts_done()
    last = killable.start(registered, [faces], output)
    last.join(600)
    assert last.exitcode == 0
    names = sorted(files.file_names(output))
    assert names == ["manifest.json", "rejects.parquet", "scores/scores-00000.parquet", "summary.html", "summary.json"]
    rows = pq.read_table(pa.BufferReader(files.read_bytes(f"{output}/{names[2]}"))).to_pandas()
    assert sorted(rows["path"]) == sorted(str(path.relative_to(faces)) for path in faces.rglob("*.jpg"))
    assert rows["scored_at"].nunique() == 1


def test_killed_at_any_point_and_started_again_it_ends_with_the_same_rows(registered, tmp_path):
    faces = made_photos.folder(tmp_path / "faces", 100)
    (faces / "broken.jpg").write_bytes(jpeg(1)[:200])
    packed = tarred(tmp_path / "more.tar.gz", {f"{n}.jpg": jpeg(n) for n in range(200, 249)}, "gz")
    whole, output = tmp_path / "whole", tmp_path / "output"
    for folder in (whole, output):
        folder.mkdir()
    uninterrupted = killable.start(registered, [faces, packed], whole, workers=1, pause=0)
    uninterrupted.join(600)
    assert uninterrupted.exitcode == 0

    points = {
        "model chosen": lambda: (output / "job.json").exists(),
        "being listed": lambda: any(output.glob("staging/*/plan/*.arrow")),
        "a part being written": lambda: any(output.glob("staging/*/parts/.*.partial")),
        "some parts done": lambda: done(output) >= 4,
        "all parts done": lambda: done(output) == 22,
        "being collected": lambda: (output / "rejects.parquet").exists(),
    }
    modified: dict[str, int] = {}
    for name, happened in points.items():
        process = killable.start(registered, [faces, packed], output)
        killable.kill_when(process, happened)
        now = {path.name: path.stat().st_mtime_ns for path in kept_parts(output)}
        all_done = (output / "summary.json").exists()  # it was killed too late: parts have had their time
        assert now.items() >= modified.items() or all_done, f"{name}: a finished part was scored again"
        modified = now
    last = killable.start(registered, [faces, packed], output)
    last.join(600)
    assert last.exitcode == 0

    rows, expected = (pq.read_table(folder / "scores").to_pandas() for folder in (output, whole))
    assert len(rows) == PHOTOS - 1 and not rows.duplicated(["archive", "path"]).any()
    pd.testing.assert_frame_equal(rows.drop(columns="scored_at"), expected.drop(columns="scored_at"), check_exact=True)
    assert rows["scored_at"].nunique() == 1
    assert [(reject.path, reject.reason) for reject in read_rejects(output / "rejects.parquet")] == [
        ("broken.jpg", "photo_unreadable")
    ]
    assert json.loads((output / "summary.json").read_text())["photos"] == PHOTOS
    assert sorted(path.name for path in output.iterdir()) == [
        "rejects.parquet",
        "scores",
        "summary.html",
        "summary.json",
    ]
