"""One photo, for a person who waits: what a part of a job does, without the job around it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components import registry
from components.estimator import precision, saved
from components.score import plan
from components.score.settings import ScoreSettings
from components.score.staged_model import ready
from components.score.work import Work, score_part
from components.storage.listing import Listing
from components.storage.reading import Reader
from schemas.error import VisageError
from schemas.reject import Reject


def score(settings: ScoreSettings, folder: Path) -> tuple[list[dict[str, Any]], list[Reject]]:
    """Rows as in `schemas.score` of the one photo that the settings name; or why it was rejected.

    Args:
        settings: of the job.
        folder: for what the work needs; empty.

    Raises:
        VisageError: more than one photo is named; photo, model or registry are not there.
    """
    listing = Listing(settings.photos, settings.names_encoding)
    planned = plan.write(str(folder / "plan"), listing, listing.sources, plan.PART, lambda count: None)
    if planned.files != 1:
        raise VisageError(
            f"{', '.join(settings.photos)}: {planned.files:,} files. Where shall their scores go?",
            "Name a folder with --out; only one photo can go without.",
            usage=True,
        )
    version = registry.resolve(settings.model)
    model = registry.download(version)
    computed = precision.chosen(settings.precision)
    work = Work.of(settings, version, model, computed, datetime.now(UTC), planned.parts)
    estimator = ready(saved.load(model / "estimator"), computed)
    with Reader(planned.sources, work.photo.max_bytes) as reader:
        part = score_part(work, planned, 0, reader, estimator, work.finder())
    return part.scores.to_pylist(), [Reject(**row) for row in part.rejects.to_pylist()]
