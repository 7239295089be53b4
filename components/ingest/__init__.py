"""Ingest: from label files and photos to sharded TFRecords of Examples, every row accounted for. README.md tells how."""

from collections.abc import Mapping
from typing import Any

from components.ingest.settings import Settings
from components.step import Job, Step


def _run(settings: Settings, job: Job) -> Mapping[str, Any]:
    from components.ingest.run import run

    return run(settings, job)


STEP = Step(
    name="ingest",
    summary="turn label files and photos into sharded TFRecords of faces, with a reason for every row left out",
    settings=Settings,
    inputs=(),
    run=_run,
    shown=("summary.json", "summary.html", "faces.jpg", "rejects/*.jpg", "rejects.parquet"),
)
