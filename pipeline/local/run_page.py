"""The page of a run, ROOT/index.html: the DAG, how each step stands, and links to all that there is to read.

It is drawn anew whenever a step starts, gets on or ends, and is a file: no server is needed to look at it. Every run keeps a
page of its own, ROOT/logs/RUN/index.html; the one in the root is that of the latest.
"""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from components.report import page
from components.report.surround import INDEX, pages_of
from components.step import Step
from pipeline.local import run_record
from pipeline.local.run_record import DONE, FAILED, REUSED, RUNNING, SKIPPED, STOPPED, RunRecord, StepRecord
from schemas.artifact import Manifest

_SECONDS_BETWEEN = 3.0
"""Between two drawings for progress alone."""

_FIGURES_SHOWN = 8
"""Figures of a step that stand open; the others open at a click."""

_RUNS_LISTED = 50

_STYLE_CLASSES = {DONE: "good", REUSED: "good", FAILED: "bad", STOPPED: "bad", RUNNING: "busy"}


def address(root: Path) -> str:
    """Where a browser finds the page of the latest run on a root."""
    return (root.absolute() / INDEX).as_uri()


class RunPage:
    """Keeps the page of one run up to date.

    Args:
        root: the pipeline root.
        record: of the run, at its start.
    """

    def __init__(self, root: Path, record: RunRecord) -> None:
        self.root, self.record = root, record
        self.folder = root / "logs" / record.key
        self._begun = self._last_drawn = time.monotonic()
        self._step_begun = 0.0

    @classmethod
    def start(cls, root: Path, steps: Sequence[Step], **described: Any) -> "RunPage":
        """The page of a run that starts now; runs that were killed before they could say so are ended on theirs."""
        for earlier in run_record.read_all(root / "logs"):
            if earlier.state == RUNNING:
                earlier.end(STOPPED, "The run was killed.")
                own = cls(root, earlier)
                with suppress(OSError):
                    earlier.write(own.folder)
                    own.draw(of_latest=False)
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        started_page = cls(root, RunRecord.of_steps(steps, started=started, **described))
        started_page.save()
        return started_page

    def step_skipped(self, name: str, reason: str) -> None:
        self._set(name, state=SKIPPED, note=reason)

    def step_started(self, name: str, log: Path) -> None:
        self._step_begun = time.monotonic()
        self._set(name, state=RUNNING, log=str(log.relative_to(self.root)))

    def step_progress(self, name: str, done: int, total: int | None, unit: str) -> None:
        """How far a step is; the page is drawn for it every few seconds at most."""
        step = self.record.step(name)
        if step.state != RUNNING:  # it ended, and a thread of its told of its progress late
            return
        step.note = f"{done:,}{f' of {total:,}' if total else ''} {unit}"
        step.seconds = round(time.monotonic() - self._step_begun, 1)
        if time.monotonic() - self._last_drawn > _SECONDS_BETWEEN:
            self.save()

    def step_whole(self, name: str, folder: Path, manifest: Manifest, *, reused: bool) -> None:
        """A step's artifact is there."""
        self._set(
            name,
            state=REUSED if reused else DONE,
            note="",
            seconds=manifest.seconds,
            artifact=str(folder.relative_to(self.root)),
            counts=dict(manifest.counts),
        )

    def end(self, state: str, message: str = "") -> None:
        """The run is over."""
        self.record.end(state, message)
        self.save()

    def save(self) -> None:
        """Write the record and draw the page; a run does not fail because there is no room for them."""
        self._last_drawn = time.monotonic()
        self.record.seconds = round(self._last_drawn - self._begun, 1)
        with suppress(OSError):
            self.record.write(self.folder)
            self.draw()

    def draw(self, *, of_latest: bool = True) -> None:
        """Draw the run's own page, and the one in the root if this is the latest run."""
        earlier = [_run_view(run) for run in run_record.read_all(self.root / "logs")[:_RUNS_LISTED]]
        for folder in (self.folder, self.root) if of_latest else (self.folder,):
            partial = folder / f".{INDEX}"
            partial.write_text(_html(self.record, self.root, folder, earlier), encoding="utf-8")
            partial.replace(folder / INDEX)

    def _set(self, name: str, **values: Any) -> None:
        for key, value in values.items():
            setattr(self.record.step(name), key, value)
        self.save()


def _html(record: RunRecord, root: Path, folder: Path, runs: Sequence[Mapping[str, Any]]) -> str:
    """The page as a file in a folder: links lead from there."""
    away = os.path.relpath(root, folder)
    return page.render(
        "run.html",
        title=f"Visage: {Path(record.recipe).stem}",
        links=_links(record, root, away),
        run=replace(record, steps=[]),
        look=_STYLE_CLASSES[record.state],
        started=_day(record.started),
        graphs=[_graph_view(record.steps, upright=False), _graph_view(record.steps, upright=True)],
        steps=[_step_view(step, root, away) for step in record.steps],
        mlflow=_mlflow(record, root),
        runs=[{**run, "address": f"{away}/logs/{run['key']}/{INDEX}"} for run in runs],
    )


def _links(record: RunRecord, root: Path, away: str) -> list[page.Link]:
    links = [page.Link("run", current=True)]
    for step in record.steps:
        pages = pages_of(root / step.artifact) if step.artifact else []
        links.append(page.Link(step.name, f"{away}/{pages[0].relative_to(root)}" if pages else f"#{step.name}"))
    return links


def _step_view(step: StepRecord, root: Path, away: str) -> dict[str, Any]:
    """A step as the page shows it."""
    folder = root / step.artifact if step.artifact else None
    pages = pages_of(folder) if folder else []
    figures = [(page.title(name), value) for name, value in step.counts.items() if _is_plain(value)]
    sentences = [line for value in step.counts.values() if isinstance(value, list) for line in value]
    links = [
        page.Link("page" if number == 0 else report.stem, f"{away}/{report.relative_to(root)}")
        for number, report in enumerate(pages)
    ]
    if folder:
        links.append(page.Link("files", f"{away}/{step.artifact}/"))
    if step.log and (root / step.log).exists():
        links.append(page.Link("log", f"{away}/{step.log}"))
    return {
        "name": step.name,
        "summary": step.summary[:1].upper() + step.summary[1:],
        "state": step.state,
        "look": _STYLE_CLASSES.get(step.state, "quiet"),
        "note": step.note,
        "seconds": step.seconds,
        "inputs": step.inputs,
        "figures": figures[:_FIGURES_SHOWN],
        "more": figures[_FIGURES_SHOWN:],
        "sentences": sentences,
        "links": links,
    }


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _run_view(run: RunRecord) -> dict[str, Any]:
    """A run as the list of runs shows it."""
    ran = sum(step.state in (DONE, FAILED, STOPPED) for step in run.steps)
    reused = sum(step.state == REUSED for step in run.steps)
    return {
        "key": run.key,
        "recipe": Path(run.recipe).stem,
        "started": _day(run.started),
        "state": run.state,
        "look": _STYLE_CLASSES[run.state],
        "seconds": run.seconds,
        "steps": f"{ran} run, {reused} reused",
    }


def _day(started: str) -> str:
    return started[:16].replace("T", " ")


def _mlflow(record: RunRecord, root: Path) -> dict[str, str]:
    """The address of MLflow's server, or the command that starts one on the store in the root."""
    if record.tracking_uri.startswith("http"):
        return {"address": record.tracking_uri, "command": ""}
    return {"address": "", "command": shlex.join(["visage", "ui", "--root", str(root)])}


def _graph_view(steps: Sequence[StepRecord], *, upright: bool) -> dict[str, Any]:
    """Where boxes and lines of the DAG stand: side by side, or one below the other for narrow screens.

    The steps stand in a row, in their order. What a step reads from its neighbour is a straight line, all else an arc past the
    steps between.
    """
    width, height, gap = 112, 46, 36
    pitch = (height if upright else width) + gap
    offsets = {step.name: number * pitch for number, step in enumerate(steps)}
    order = {step.name: number for number, step in enumerate(steps)}
    longest = max((order[step.name] - order[name] for step in steps for name in step.inputs), default=1)
    margin = 14 * longest if longest > 1 else 4
    boxes = [
        {
            "name": step.name,
            "state": step.state,
            "look": _STYLE_CLASSES.get(step.state, "quiet"),
            "x": 4 if upright else offsets[step.name] + 4,
            "y": offsets[step.name] + 4 if upright else margin + 4,
        }
        for step in steps
    ]
    lines = [
        _line(offsets[name], offsets[step.name], order[step.name] - order[name], margin, upright, (width, height))
        for step in steps
        for name in step.inputs
    ]
    length = (len(steps) - 1) * pitch + (height if upright else width) + 8
    across = (width if upright else height) + margin + 8
    size = (across, length) if upright else (length, across)
    description = "; ".join(
        f"{step.name} ({step.state}) reads {', '.join(step.inputs) or 'the source'}" for step in steps
    )
    return {
        "boxes": boxes,
        "lines": lines,
        "size": size,
        "box": (width, height),
        "upright": upright,
        "description": description,
    }


def _line(start: int, end: int, steps: int, margin: int, upright: bool, box: tuple[int, int]) -> str:
    """The path of an SVG from one box to another; an arc where it passes others."""
    width, height = box
    bend = 28 * steps - 8
    if upright:
        middle, edge = 4 + width // 2, 4 + width
        if steps == 1:
            return f"M {middle} {start + 4 + height} V {end + 4}"
        low, high = start + 4 + height * 3 // 4, end + 4 + height // 4
        return f"M {edge} {low} Q {edge + bend} {(low + high) // 2} {edge} {high}"
    middle, edge = margin + 4 + height // 2, margin + 4
    if steps == 1:
        return f"M {start + 4 + width} {middle} H {end + 4}"
    low, high = start + 4 + width * 3 // 4, end + 4 + width // 4
    return f"M {low} {edge} Q {(low + high) // 2} {edge - bend} {high} {edge}"
