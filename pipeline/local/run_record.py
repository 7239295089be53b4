"""What is kept of every run on a root: ROOT/logs/RUN/run.json, from which its page is drawn."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from components.step import Step
from schemas.redaction import redacted

RECORD = "run.json"

WAITING, RUNNING, DONE, REUSED, SKIPPED = "waiting", "running", "done", "reused", "skipped"
FAILED, STOPPED, NOT_REACHED = "failed", "stopped", "not reached"
"""States of a step; a run is `RUNNING`, `DONE`, `FAILED` or `STOPPED`: by a person, or by its process's death."""


@dataclass
class StepRecord:
    """How a step stands in a run.

    Attributes:
        name: of the step.
        summary: what it does, in a line.
        inputs: names of the steps that it reads from.
        state: one of the states above.
        note: how far it is while it runs; why it was skipped, or failed.
        seconds: that it took when it was run, here or where it is reused from; None where it is not known yet.
        artifact: its folder, from the root; empty where there is none yet.
        log: its log, from the root; empty where it wrote none in this run.
        counts: figures of its manifest.
    """

    name: str
    summary: str = ""
    inputs: Sequence[str] = ()
    state: str = WAITING
    note: str = ""
    seconds: float | None = None
    artifact: str = ""
    log: str = ""
    counts: dict[str, Any] = field(default_factory=dict)


@dataclass
class RunRecord:
    """A run of the pipeline.

    Attributes:
        key: names the run; the folder of its logs and the tag of its runs in MLflow.
        recipe: its name.
        command: that started it.
        commit: of Visage.
        tracking_uri: of MLflow.
        started: local time, ISO 8601 with the zone.
        state: of the run.
        message: what a failed run said.
        seconds: that it took so far.
        steps: in their order.
    """

    key: str
    recipe: str
    command: str = ""
    commit: str = ""
    tracking_uri: str = ""
    started: str = ""
    state: str = RUNNING
    message: str = ""
    seconds: float = 0.0
    steps: list[StepRecord] = field(default_factory=list)

    @classmethod
    def of_steps(cls, steps: Sequence[Step], **described: Any) -> "RunRecord":
        """A run at its start."""
        return cls(**described, steps=[StepRecord(step.name, step.summary, step.inputs) for step in steps])

    def step(self, name: str) -> StepRecord:
        """The record of the step of that name."""
        return next(step for step in self.steps if step.name == name)

    def end(self, state: str, message: str = "") -> None:
        """The run is over, and so is the step that was running."""
        self.state, self.message = state, message
        for step in self.steps:
            if step.state == RUNNING:
                step.state, step.note = state, ""
            elif step.state == WAITING:
                step.state = NOT_REACHED

    def write(self, folder: Path) -> None:
        """Keep it in the folder of the run's logs, credentials hidden."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{RECORD}"
        partial.write_text(json.dumps(redacted(asdict(self)), indent=1, default=str) + "\n")
        partial.replace(folder / RECORD)


def read_all(logs: Path) -> list[RunRecord]:
    """The runs whose records are there and can be read, the newest first."""
    records = []
    for path in sorted(logs.glob(f"*/{RECORD}"), key=lambda path: path.parent.name, reverse=True):
        # One of another version of Visage, or damaged, is not listed.
        with suppress(OSError, ValueError, TypeError, LookupError):
            content = json.loads(path.read_text())
            records.append(RunRecord(**{**content, "steps": [StepRecord(**step) for step in content["steps"]]}))
    return records
