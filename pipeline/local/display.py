"""What a person sees while the DAG runs: bars on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SECONDS_BETWEEN_LINES = 5.0


class Display:
    """Plain lines: what starts, how far it is every few seconds, what is done."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.begun: dict[str, float] = {}
        self.last_line_at: dict[str, float] = {}
        self.first: dict[tuple[str, str], tuple[float, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def reused(self, step: str) -> None:
        """A step that need not be run, because what it would make is there."""
        self._line(step, "reused")

    def skipped(self, step: str, reason: str) -> None:
        """A step that has nothing to do."""
        self._line(step, f"skipped: {reason}")

    def note(self, step: str, text: str) -> None:
        """Something about a step that a person should know."""
        self._line(step, text)

    def started(self, step: str) -> None:
        self.begun[step] = self.last_line_at[step] = time.monotonic()
        self._line(step, "started")

    def progress(self, step: str, done: int, total: int | None, unit: str) -> None:
        """How far a step is; one that has ended, or never started, says nothing more."""
        if step not in self.begun:
            return
        now = time.monotonic()
        first_time, first_done = self.first.setdefault((step, unit), (now, done))
        if now - self.last_line_at.get(step, 0) < _SECONDS_BETWEEN_LINES or now == first_time:
            return
        self.last_line_at[step] = now
        rate = (done - first_done) / (now - first_time)
        time_left = f", about {(total - done) / rate:,.0f} s left" if total and rate else ""
        self._line(step, f"{done:,}{f' of {total:,}' if total else ''} {unit}, {rate:,.0f}/s{time_left}")

    def metric(self, step: str, name: str, value: float, epoch: int | None) -> None:
        """Metrics go to MLflow and the log; a line each would bury the rest."""

    def ended(self, step: str, end_state: str) -> None:
        """The end of a step: done or failed."""
        self._line(step, f"{end_state} in {time.monotonic() - self.begun.pop(step):.1f} s")

    def _line(self, step: str, text: str) -> None:
        self.console.print(f"{step:<9} {text}", highlight=False, markup=False, soft_wrap=True)


class LiveDisplay(Display):
    """Bars that move, for a terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.bars = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {}
        self.notes: dict[str, dict[str, float]] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def started(self, step: str) -> None:
        self.begun[step] = time.monotonic()
        self.tasks[step] = self.bars.add_task(step, total=None, unit="", rate="", note="")

    def progress(self, step: str, done: int, total: int | None, unit: str) -> None:
        if step not in self.tasks:
            return
        now = time.monotonic()
        first_time, first_done = self.first.setdefault((step, unit), (now, done))
        rate = (done - first_done) / max(now - first_time, 1e-3)
        self.bars.update(self.tasks[step], completed=done, total=total, unit=unit, rate=f"{rate:,.0f}/s")

    def metric(self, step: str, name: str, value: float, epoch: int | None) -> None:
        if step not in self.tasks:
            return
        notes = self.notes.setdefault(step, {})
        notes[name] = value
        latest = list(notes.items())[-3:]
        self.bars.update(
            self.tasks[step],
            note="  ".join(f"{metric_name} {metric_value:.3g}" for metric_name, metric_value in latest),
        )

    def ended(self, step: str, end_state: str) -> None:
        self.bars.remove_task(self.tasks.pop(step))
        super().ended(step, end_state)


def for_console(console: Console) -> Display:
    """Bars where there is a terminal, plain lines where there is none."""
    return LiveDisplay(console) if console.is_terminal else Display(console)
