"""The face that every step shows, and what it takes to run one.

A step is a folder of `components` whose `__init__` holds `STEP`: its name, its settings, the artifacts it reads and the
function that does the work. The function gets its settings and a `Job`; what it writes under `job.output` becomes the
artifact once it returns.
"""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components import fingerprint
from components.settings import Section
from schemas import artifact
from schemas.error import VisageError

log = logging.getLogger("visage.step")


class Tracker:
    """Where a running step tells how it gets on. This one writes to the log; the pipeline has one that feeds MLflow."""

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """One figure, for instance `val_age_mae`; `step` is the epoch for a figure that has a course."""
        at = "" if step is None else f" (epoch {step})"
        log.info("%s%s: %.6g", name, at, value)

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """How far long work has come: `done` of `total` things; None where the total is not known."""

    def tag(self, name: str, value: str) -> None:
        """One fact about the run, for instance the device it ran on."""
        log.info("%s: %s", name, value)


@dataclass(frozen=True)
class Job:
    """What a step is given to work with.

    Attributes:
        inputs: folder of every input artifact, by the input's name.
        output: folder to write into. It is empty, or for a resumable step as an interrupted run left it.
        previous: the newest whole artifact of the same step, made from other inputs or settings; None if there is none.
        tracker: where metrics and progress go.
        fingerprint: of the artifact in the making.
    """

    inputs: Mapping[str, Path]
    output: Path
    previous: Path | None = None
    tracker: Tracker = field(default_factory=Tracker)
    fingerprint: str = ""


@dataclass(frozen=True)
class Step:
    """One step of the pipeline.

    Attributes:
        name: also the name of its folder under `components`.
        summary: one line for people.
        settings: model whose fields are the sections of the recipe that the step reads.
        inputs: the steps whose artifacts it reads.
        run: does the work; takes settings and job and gives the counts and figures for the manifest. It imports what is heavy.
        shown: file patterns within the artifact that are worth keeping in MLflow: plots, reports.
        resumable: whether the step can go on from what an interrupted run left in its output folder.
    """

    name: str
    summary: str
    settings: type[Section]
    inputs: tuple[str, ...]
    run: Callable[[Any, Job], Mapping[str, Any]]
    shown: tuple[str, ...] = ()
    resumable: bool = False


def execute(
    step: Step, settings: Section, inputs: Mapping[str, Path], final: Path, tracker: Tracker
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
    identity = fingerprint.of_step(step.name, settings, inputs)
    partial = artifact.partial_folder(final)
    if partial.exists() and not (step.resumable and _same_work(partial, identity.digest)):
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    (partial / _WORK).write_text(identity.digest)
    started, clock = datetime.now(UTC), time.monotonic()
    job = Job(inputs, partial, newest(final.parent, besides=final), tracker, identity.digest)
    counts = dict(step.run(settings, job))
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
