"""Evaluate: measure the estimator on the test split, by slice and against the champion, and bless it or not.

Writes `metrics.json`, `predictions.parquet`, the plots and `report.html`.
"""

from collections.abc import Mapping
from typing import Any

from components.evaluate.settings import Settings
from components.step import Step, StepContext
from schemas.record import TEST


def run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Evaluate the estimator.

    Raises:
        VisageError: there is nothing to measure on, a shard or the estimator cannot be read, the registry does not answer,
            or the model was not blessed and the settings require it.
    """
    from components.evaluate.evaluation import evaluate

    return evaluate(settings, context)


STEP = Step(
    name="evaluate",
    summary="measure the estimator on the test split, by slice and against the champion; bless it or not",
    settings=Settings,
    inputs=("ingest", "train"),
    run=run,
    report_globs=("report.html", "labels.html", "metrics.json", "*.png"),
    splits=(TEST,),
    reads_champion=True,
    pages=("plots", "report"),
)
