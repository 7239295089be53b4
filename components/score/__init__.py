"""Score: a batch job over stored photos; faces in, ages and genders out, and every photo accounted for."""

from collections.abc import Mapping
from typing import Any

from components.score.settings import Settings
from components.step import Job, Step


def _run(settings: Settings, job: Job) -> Mapping[str, Any]:
    from components.score.run import run

    return run(settings, job)


STEP = Step(
    name="score",
    summary="estimate age and gender of every face in stored photos",
    settings=Settings,
    inputs=("register",),
    run=_run,
    shown=("summary.html", "summary.json"),
    resumable=True,
)
