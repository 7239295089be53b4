"""Running a step: from its settings and inputs to a whole artifact."""

import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from components.step.identity import of_step
from components.step.settings import Section
from components.step.step import Step, StepContext, Surroundings, Tracker
from schemas import artifact
from schemas.error import VisageError

_NONE = Surroundings()


def execute(
    step: Step,
    settings: Section,
    inputs: Mapping[str, Path],
    final: Path,
    tracker: Tracker,
    surroundings: Surroundings = _NONE,
) -> artifact.Manifest:
    """Run a step and make what it writes the artifact `final`.

    The output is written beside `final` and renamed when it is whole. If the step fails or is killed, the partial folder
    stays: a resumable step goes on from it, any other starts it anew.

    Raises:
        VisageError: the step failed in a way that a person can mend; an input is not a whole artifact; `final` holds
            something that is no artifact.
    """
    if final.exists() and not artifact.is_whole(final) and (not final.is_dir() or any(final.iterdir())):
        raise VisageError(
            f"{final} holds something that no step made.", "Name a folder that is new or empty.", usage=True
        )
    identity = of_step(step.name, settings, inputs)
    partial = artifact.partial_folder(final)
    if partial.exists() and not (step.resumable and _same_work(partial, identity.digest)):
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    (partial / _WORK).write_text(identity.digest)
    started, clock = datetime.now(UTC), time.monotonic()
    previous = newest(final.parent, besides=final)
    context = StepContext(inputs, partial, previous, tracker, identity.digest, **vars(surroundings))
    counts = dict(step.run(settings, context))
    (partial / _WORK).unlink()
    manifest = artifact.Manifest(
        step=step.name,
        fingerprint=identity.digest,
        settings=identity.settings,
        inputs=identity.inputs,
        external=identity.external,
        code=identity.code,
        lock=identity.lock,
        counts=counts,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
    )
    artifact.publish(partial, final, manifest)
    return manifest


def newest(folder: Path, besides: Path | None = None) -> Path | None:
    """The whole artifact in a folder that was made last."""
    if not folder.is_dir():
        return None
    whole = [held for held in folder.iterdir() if held != besides and held.name[0] != "." and artifact.is_whole(held)]
    return max(whole, key=lambda held: (held / artifact.MANIFEST).stat().st_mtime, default=None)


_WORK = ".work"
"""File of a partial folder that says which fingerprint it is being written for."""


def _same_work(partial: Path, digest: str) -> bool:
    work = partial / _WORK
    return work.is_file() and work.read_text() == digest
