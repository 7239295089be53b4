"""Ingest: from label files and photos to sharded TFRecords of Examples, every row accounted for. README.md tells how."""

from collections.abc import Iterable, Mapping
from typing import Any

from components.ingest.settings import Settings
from components.step import Step, StepContext
from schemas.record import SPLITS


def _run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    from components.ingest.run import run

    return run(settings, context)


def _photos_beside_labels(settings: Settings) -> tuple[str, Iterable[str]]:
    """Where a label file without photos of its own has them, and their names."""
    from components.ingest.sources import photos_root, records
    from components.storage import places

    source = settings.source
    if source.photos or places.is_archive(source.path) or not places.is_file(source.path):
        return "", ()
    return photos_root(source), (record.path for record in records(source) if record.path)


STEP = Step(
    name="ingest",
    summary="turn label files and photos into sharded TFRecords of faces, with a reason for every row left out",
    settings=Settings,
    inputs=(),
    run=_run,
    report_globs=("summary.json", "summary.html", "faces.jpg", "rejects/*.jpg", "rejects.parquet"),
    splits=SPLITS,
    pages=("contact_sheets",),
    files_outside=_photos_beside_labels,
)
