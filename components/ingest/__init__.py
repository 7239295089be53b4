"""Ingest: from label files and photos to sharded TFRecords of Examples, every row accounted for. README.md tells how."""

from collections.abc import Mapping
from typing import Any

from components.ingest.settings import Settings
from components.step import Step, StepContext


def _run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    from components.ingest.run import run

    return run(settings, context)


STEP = Step(
    name="ingest",
    summary="turn label files and photos into sharded TFRecords of faces, with a reason for every row left out",
    settings=Settings,
    inputs=(),
    run=_run,
    report_globs=("summary.json", "summary.html", "faces.jpg", "rejects/*.jpg", "rejects.parquet"),
)
