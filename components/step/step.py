"""What every step shows to whoever runs it.

A step is a folder of `components` whose `__init__` holds `STEP`: its name, its settings, the artifacts it reads and the
function that does the work. The function gets its settings and a `StepContext`; what it writes under `context.output` becomes the
artifact once it returns.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.step.settings import Section

if TYPE_CHECKING:
    from components.registry import ModelVersion

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

    def reports(self, folder: Path, globs: Sequence[str]) -> None:
        """Files worth showing, by their patterns within a folder: of an artifact, or of what a step left when it failed."""


@dataclass(frozen=True)
class Surroundings:
    """What a pipeline run's steps know of the world around them; taken once, when the run starts.

    Attributes:
        recipe: name of the recipe; empty where a step is run without one.
        commit: of the project's checkout, with `-dirty` where it differs; empty where it is not known.
        tracking_uri: of the MLflow server or store; empty where nothing is tracked.
        champion: the model version that was champion when the run started; None where there was none, or no registry.
        root: the pipeline root; None for a step that is run alone.
        command: that started the run, credentials hidden; empty where it is not known.
        steps: names of all steps of the run, in order; empty for a step that is run alone.
    """

    recipe: str = ""
    commit: str = ""
    tracking_uri: str = ""
    champion: "ModelVersion | None" = None
    root: Path | None = None
    command: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepContext:
    """What a step is given to work with.

    Attributes:
        inputs: folder of every input artifact, by the input's name.
        output: folder to write into. It is empty, or for a resumable step as an interrupted run left it.
        previous: the newest whole artifact of the same step, made from other inputs or settings; None if there is none.
        tracker: where metrics and progress go.
        fingerprint: of the artifact in the making.
        recipe, commit, tracking_uri, champion, root, command, steps: as in `Surroundings`.
    """

    inputs: Mapping[str, Path]
    output: Path
    previous: Path | None = None
    tracker: Tracker = field(default_factory=Tracker)
    fingerprint: str = ""
    recipe: str = ""
    commit: str = ""
    tracking_uri: str = ""
    champion: "ModelVersion | None" = None
    root: Path | None = None
    command: str = ""
    steps: tuple[str, ...] = ()

    def place_of(self, file: str) -> str:
        """Where a person finds a report, though the step fails: for its message."""
        tracked = ", and among the artifacts of this step's run in MLflow" if self.tracking_uri else ""
        return f"{self.output / file}{tracked}"


@dataclass(frozen=True)
class Step:
    """One step of the pipeline.

    Attributes:
        name: also the name of its folder under `components`.
        summary: one line for people.
        settings: model whose fields are the sections of the recipe that the step reads.
        inputs: the steps whose artifacts it reads, or waits for.
        run: does the work; takes settings and a context and gives the counts and figures for the manifest. It imports
            what is heavy.
        report_globs: file patterns within the artifact that are worth keeping in MLflow: plots, reports.
        splits: those of the examples that it writes, learns from or measures on; MLflow shows them as the run's data sets.
        resumable: whether the step can go on from what an interrupted run left in its output folder.
        reads_champion: whether what comes out depends on `champion` of the context; the step has `registry` among its settings
            then, and of these the champion counts, not the name.
        champion_unless: a setting, by dotted name, that takes the champion's place where it is set.
        gates: those of `inputs` that only have to be there; what they hold decides nothing.
        pages: modules of the step that only draw and write what people look at. A change of theirs makes nothing anew.
        files_outside: gives, from the settings, a place and the names of files in it that are read, beside what the settings
            marked `external_path` name; the place is empty where there are none.
        nothing_to_do: says from the settings why the step would have nothing to do; empty where it has.
        is_current: whether an artifact that is there still says what is so, in these surroundings; asked before it is reused.
        host_number: gives the number, from 0, of this host among those that do the step's work together; the first one's artifact
            counts.
    """

    name: str
    summary: str
    settings: type[Section]
    inputs: tuple[str, ...]
    run: Callable[[Any, StepContext], Mapping[str, Any]]
    report_globs: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    resumable: bool = False
    reads_champion: bool = False
    champion_unless: str = ""
    gates: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    files_outside: Callable[[Any], tuple[str, Iterable[str]]] | None = None
    nothing_to_do: Callable[[Any], str] | None = None
    is_current: Callable[[Path, Surroundings], bool] | None = None
    host_number: Callable[[], int] | None = None
