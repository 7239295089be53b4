"""Register: the trained estimator becomes a version in the registry, with its lineage, card and the alias it has earned."""

from collections.abc import Mapping
from typing import Any

from components.register.settings import Settings
from components.step import Step, StepContext


def _run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    from components.register.run import run

    return run(settings, context)


STEP = Step(
    name="register",
    summary="record the model as a version in the registry, champion if it was blessed",
    settings=Settings,
    inputs=("ingest", "validate", "train", "evaluate"),
    run=_run,
    report_globs=("card.md", "registered.json"),
    reads_champion=True,
)
