"""Score: a batch job over stored photos; faces in, ages and genders out, and every photo accounted for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.score.settings import Settings
from components.step import Step, StepContext, Surroundings
from schemas.artifact import read_manifest


def _run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    from components.score.run import run

    return run(settings, context)


def nothing_to_do(settings: Settings) -> str:
    """Why there is nothing to score; empty where there is."""
    return "" if settings.score.photos else "no photos to score are named (score.photos)"


def is_current(artifact: Path, surroundings: Surroundings) -> bool:
    """Whether the model that the settings name is still the version that scored; where they name none, it is an input's."""
    from components import registry

    reference = read_manifest(artifact).settings["score"]["model"]
    if not reference:
        return True
    summary, version = json.loads((artifact / "summary.json").read_text()), registry.resolve(reference)
    return (summary["model"], summary.get("model_run")) == (str(version), version.run_id)


STEP = Step(
    name="score",
    summary="estimate age and gender of every face in stored photos",
    settings=Settings,
    inputs=("register",),
    run=_run,
    report_globs=("summary.html", "summary.json"),
    resumable=True,
    pages=("report",),
    nothing_to_do=nothing_to_do,
    is_current=is_current,
)
