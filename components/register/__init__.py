"""Register: the trained estimator becomes a version in the registry, with its lineage, card and the alias it has earned."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import registry
from components.register.settings import Settings
from components.step import Step, StepContext, Surroundings
from schemas.artifact import read_manifest


def _run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    from components.register.run import run

    return run(settings, context)


def _is_current(artifact: Path, surroundings: Surroundings) -> bool:
    """Whether the registry at hand holds the version, and the champion is the one that the artifact names."""
    from components.register.run import FINGERPRINT

    registered = json.loads((artifact / "registered.json").read_text())
    version = registry.find(registered["name"], FINGERPRINT, read_manifest(artifact).fingerprint)
    champion = surroundings.champion
    return version is not None and (version.version, champion and champion.version) == (
        registered["version"],
        registered["champion_version"],
    )


STEP = Step(
    name="register",
    summary="record the model as a version in the registry, champion if it was blessed",
    settings=Settings,
    inputs=("ingest", "validate", "train", "evaluate"),
    run=_run,
    report_globs=("card.md", "report.html", "registered.json"),
    is_current=_is_current,
)
