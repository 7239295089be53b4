"""A job over photos in a bucket, on a server on loopback that speaks S3."""

import json
from pathlib import Path

from components.score import STEP
from components.score.settings import Settings
from components.step import StepContext
from tests.components.score.made_photos import jpeg, tarred, zipped
from tests.components.storage.conftest import s3, s3_client

__all__ = ["s3", "s3_client"]


def test_the_whole_job_runs_on_a_bucket(s3, tmp_path, model, output: Path):
    for number in range(1, 3):
        s3(f"album/{number}.jpg", jpeg(number))
    s3("album/empty.jpg", b"")
    s3("some.zip", zipped(tmp_path / "some.zip", {f"{n}.jpg": jpeg(n) for n in range(10, 20)}).read_bytes())
    s3("some.tar.gz", tarred(tmp_path / "t.gz", {f"{n}.jpg": jpeg(n) for n in range(20, 25)}, "gz").read_bytes())
    photos = [s3.url(name) for name in ("album", "some.zip", "some.tar.gz")]
    settings = Settings.model_validate(
        {"score": {"photos": photos, "model": model, "faces": "whole"}, "beam": {"workers": 2}}
    )
    STEP.run(settings, StepContext({}, output))
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["photos"], summary["scored"], summary["rejects"]) == (18, 17, {"not_a_photo": 1})
