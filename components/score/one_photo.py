"""One photo, for a person who waits: what a part of a job does, without the job around it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components import registry
from components.score import parts, plan
from components.score.detect import detector
from components.score.settings import ScoreSettings
from components.storage.listing import Listing
from components.storage.reading import Reader
from schemas.arrow_files import parquet as pq
from schemas.error import VisageError
from schemas.reject import Reject, read_rejects


def score(settings: ScoreSettings, folder: Path) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Rows as in `schemas.score` of the one photo that the settings name; or why it was rejected.

    Args:
        settings: of the job.
        folder: for what the work needs; empty.

    Raises:
        VisageError: more than one photo is named; photo, model or registry are not there.
    """
    listing = Listing(settings.photos, settings.names_encoding)
    planned = plan.write(folder / "plan", listing, listing.sources, plan.PART, lambda files: None)
    if planned.files != 1:
        raise VisageError(
            f"{', '.join(settings.photos)}: {planned.files:,} files. Where shall their scores go?",
            "Name a folder with --out; only one photo can go without.",
            usage=True,
        )
    version = registry.resolve(settings.model)
    work = parts.Work.of(settings, folder, planned, version, registry.download(version), datetime.now(UTC))
    (folder / parts.FOLDER).mkdir()
    with Reader(planned.sources, work.photo.max_bytes) as reader:
        parts.score_part(work, 0, reader, detector(work.detector, work.min_score) if work.detector else None)
    return pq.read_table(parts.scores_file(folder, 0)).to_pylist(), read_rejects(parts.rejects_file(folder, 0))
