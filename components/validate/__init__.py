"""Validate: describe every split, hold it against the reviewed schema and against the champion's data.

Writes `statistics/SPLIT.pb` (TFDV's DatasetFeatureStatisticsList), `anomalies.json` and `report.html`.
"""

import io
from collections.abc import Mapping
from contextlib import redirect_stderr
from typing import Any

from components.step import Step, StepContext
from components.validate.settings import Settings
from schemas.record import SPLITS


def import_tfdv() -> None:
    """Import TensorFlow Data Validation without what it prints: at every import, that there is no IPython."""
    with redirect_stderr(io.StringIO()):
        import tensorflow_data_validation  # noqa: F401


def run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Validate the examples.

    Raises:
        VisageError: a split has no examples or cannot be read, or there are anomalies and the settings make them fatal.
    """
    import_tfdv()
    from components.validate.validation import validate

    return validate(settings, context)


STEP = Step(
    name="validate",
    summary="describe every split (TFDV) and hold it against the reviewed schema and the champion's data",
    settings=Settings,
    inputs=("ingest",),
    run=run,
    report_globs=("report.html", "anomalies.json", "statistics/*.pb"),
    splits=SPLITS,
    reads_champion=True,
    champion_unless="validation.reference",
    pages=("report",),
)
