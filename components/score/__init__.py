"""Score: a batch job over stored photos; faces in, ages and genders out, and every photo accounted for."""

from collections.abc import Mapping
from typing import Any

from components.score.settings import Settings
from components.step import Step, StepContext


def _run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    from components.score.run import run

    return run(settings, context)


STEP = Step(
    name="score",
    summary="estimate age and gender of every face in stored photos",
    settings=Settings,
    inputs=("register",),
    run=_run,
    report_globs=("summary.html", "summary.json"),
    resumable=True,
)
