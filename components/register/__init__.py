"""Register: the trained estimator becomes a version in the registry, with its lineage, card and the alias it has earned."""

from collections.abc import Mapping
from typing import Any

from components.register.settings import Settings
from components.step import Job, Step


def _run(settings: Settings, job: Job) -> Mapping[str, Any]:
    from components.register.run import run

    return run(settings, job)


STEP = Step(
    name="register",
    summary="record the model as a version in the registry, champion if it was blessed",
    settings=Settings,
    inputs=("ingest", "validate", "train", "evaluate"),
    run=_run,
    shown=("card.md", "registered.json"),
)
