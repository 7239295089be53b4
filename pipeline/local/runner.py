"""The local runner: the DAG on this machine, one step after another, each once, nothing twice.

ROOT/artifacts/STEP/FINGERPRINT   what the steps wrote
ROOT/index.html                   the page of the latest run
ROOT/logs/RUN/STEP.log            what they said; beside it the run's own page and record
ROOT/mlflow.db, ROOT/mlartifacts  the MLflow store, unless MLFLOW_TRACKING_URI names another
ROOT/.owner                       whose the runs in MLflow are
"""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from components import registry
from components.step import Step, Surroundings, identity
from components.step.execute import collect_outdated, not_gone_on_with
from components.step.identity import Identity
from components.step.reuse import behind_the_champion
from pipeline import tracking
from pipeline.dag import STEPS, in_order, named
from pipeline.local import run_record, worker
from pipeline.local.display import Display
from pipeline.local.process import WorkerDied, WorkerProcess
from pipeline.local.run_page import RunPage
from pipeline.local.worker import Event
from pipeline.pipeline_run import PipelineRun, git_commit, new_key, owner_of
from pipeline.recipe import Recipe
from schemas.artifact import Manifest, is_whole, partial_folder, read_manifest
from schemas.error import VisageError
from schemas.redaction import redact

_ORPHANS_END = 20.0
"""Seconds to wait for the worker of a killed run; it ends as soon as it notices, within moments."""


@dataclass
class Outcome:
    """What a pipeline run came to.

    Attributes:
        artifacts: folder of every step's artifact, by step.
        manifests: their manifests.
        reused: names of the steps that were not run anew.
        skipped: why a step had nothing to do, by step.
        seconds: of the whole run.
    """

    artifacts: dict[str, Path] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    reused: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def run(
    recipe: Recipe,
    root: Path,
    display: Display,
    *,
    force: Collection[str] = (),
    command: str = "",
    steps: Sequence[Step] = STEPS,
    process: WorkerProcess | None = None,
) -> Outcome:
    """Run every step whose artifact is not on disk yet.

    Args:
        recipe: the settings.
        root: folder of all that the pipeline writes; made if it is missing.
        display: shows how it goes on.
        force: names of steps to run anew; what depends on them follows.
        command: that goes on after a failure, for the message.
        steps: the DAG.
        process: in which the steps work; None: one of this run's own.

    Raises:
        VisageError: a step failed, the root cannot be used, or another run is using it.
    """
    for name in force:
        named(name, steps)
    clock = time.monotonic()
    root = root.absolute()
    environment = tracking.environment(root)
    with _sole_use(root), WorkerProcess(environment, root / ".workers") as own:
        outcome = _Session(recipe, root, display, set(force), command, process or own, in_order(steps)).run()
    outcome.seconds = time.monotonic() - clock
    return outcome


class _Session:
    """One pipeline run in progress."""

    def __init__(
        self,
        recipe: Recipe,
        root: Path,
        display: Display,
        force: set[str],
        command: str,
        process: WorkerProcess,
        steps: Sequence[Step],
    ) -> None:
        self.recipe, self.root, self.display, self.force = recipe, root, display, force
        self.command, self.process, self.steps = command, process, steps
        server = tracking.environment(root)["MLFLOW_TRACKING_URI"]
        names = tuple(step.name for step in steps)
        self.surroundings = Surroundings(
            recipe.name, git_commit(), server, root=root, command=redact(command), steps=names
        )
        key = new_key()
        commit, owner = self.surroundings.commit, owner_of(root)
        self.pipeline_run = PipelineRun(key, recipe.name, str(root), commit, owner, command=redact(command))
        self.logs = root / "logs" / key
        self.page = RunPage.start(
            root, steps, key=key, recipe=recipe.name, command=command, commit=commit, tracking_uri=server
        )
        self.outcome = Outcome()
        self.current = ""
        self.begun = self.ran_something = False

    def run(self) -> Outcome:
        try:
            if any(step.reads_champion for step in self.steps):
                self._begin()
                champion = self._ask(registry.champion, self.recipe.settings.registry.name)
                self.surroundings = replace(self.surroundings, champion=champion)
            for step in self.steps:
                self._step(step)
            self._end("FINISHED")
        except WorkerDied as error:
            cause = f"its process was ended {error}; if not by a person, perhaps for want of memory (the system's log knows)"
            self._end("FAILED")
            raise self._failed(cause) from error
        except KeyboardInterrupt:
            self.process.kill()
            self._end("KILLED")
            self.page.end(run_record.STOPPED, "It was stopped by hand.")
            raise
        except Exception as error:
            self._end("FAILED")
            if isinstance(error, VisageError) and not self.current:
                self.page.end(run_record.FAILED, str(error))
                raise
            raise self._failed(error) from error
        self.page.end(run_record.DONE)
        return self.outcome

    def _step(self, step: Step) -> None:
        """Take over what is on disk already, or run the step."""
        settings = self.recipe.of(step)
        reason = step.nothing_to_do(settings) if step.nothing_to_do else ""
        if reason:
            self.outcome.skipped[step.name] = reason
            self.display.skipped(step.name, reason)
            self.page.step_skipped(step.name, reason)
            return
        inputs = {name: self.outcome.artifacts[name] for name in step.inputs}
        step_identity = identity.of_step(step, settings, inputs, self.surroundings.champion)
        folder = self.root / "artifacts" / step.name
        existing = None if step.name in self.force else self._done_before(step, step_identity, folder)
        if existing:
            self.outcome.reused.append(step.name)
            self._take(step, existing, read_manifest(existing), reused=True)
            self.display.reused(step.name)
            return
        self._begin()
        final = folder / step_identity.digest[:16]
        partial_artifact = partial_folder(final, step_identity.digest)
        for line in not_gone_on_with(step, step_identity, partial_artifact, sorted(folder.glob(".*.partial"))):
            self.display.note(step.name, line)
        self.display.started(step.name)
        self.current, self.ran_something = step.name, True
        end_state = "failed"
        try:
            log_file = self.logs / f"{step.name}.log"
            self.page.step_started(step.name, log_file)
            run, around = self.pipeline_run, self.surroundings
            manifest = self._call(worker.run_step, step, settings, inputs, final, log_file, run, around, step_identity)
            end_state = "done"
        finally:
            self.display.ended(step.name, end_state)
        self.current = ""
        self._take(step, final, manifest, reused=False)
        for line in collect_outdated(step, step_identity, sorted(folder.glob(".*.partial"))):
            self.display.note(step.name, line)
        for replaced in folder.glob(".*.replaced"):
            shutil.rmtree(replaced, ignore_errors=True)

    def _done_before(self, step: Step, step_identity: Identity, folder: Path) -> Path | None:
        """The artifact that the step would make, if it is there and still says what is so."""
        final = folder / step_identity.digest[:16]
        if not is_whole(final):
            inputs = {name: self.outcome.artifacts[name] for name in step.inputs}
            manifests = partial(_manifest_of, folder)
            digest = behind_the_champion(step, self.recipe.of(step), inputs, self.surroundings, manifests)
            final = folder / digest[:16] if digest else final
        if not is_whole(final):
            return None
        if step.is_current and not self._ask(step.is_current, final, self.surroundings):
            return None
        return final

    def _take(self, step: Step, folder: Path, manifest: Manifest, *, reused: bool) -> None:
        self.outcome.artifacts[step.name] = folder
        self.outcome.manifests[step.name] = manifest
        self.page.step_whole(step.name, folder, manifest, reused=reused)

    def _begin(self) -> None:
        """End in MLflow what runs on this root before this one had to leave open."""
        if not self.begun:
            self.begun = True
            self._ask(tracking.close_abandoned, self.pipeline_run)

    def _end(self, status: str) -> None:
        """End the run in MLflow, if there is one; with the figures of all steps by `STEP.name`, to compare runs by."""
        if not self.ran_something:
            return
        figures = {
            f"{step}.{name}": value
            for step, manifest in self.outcome.manifests.items()
            for name, value in manifest.counts.items()
        }
        reused = {name: self.outcome.manifests[name].fingerprint for name in self.outcome.reused}
        settings = [self.recipe.of(step) for step in self.steps if step.name in reused]
        if status == "FINISHED":
            self._ask(tracking.close, self.pipeline_run, status, figures, reused, settings)
            return
        with suppress(VisageError, WorkerDied, worker.StepFailure):  # the step's own failure is what must be told
            self._ask(tracking.close, self.pipeline_run, status, {}, reused, settings)

    def _ask(self, function: Callable[..., Any], *arguments: object) -> Any:
        return self._call(worker.call, function, self.logs / "mlflow.log", *arguments)

    def _call(self, function: Callable[..., Any], *arguments: object) -> Any:
        return self.process.call(function, *arguments, on_event=self._show)

    def _show(self, event: Event) -> None:
        if event.kind == "progress":
            self.display.progress(event.step, *event.values)
            self.page.step_progress(event.step, *event.values)
        else:
            self.display.metric(event.step, *event.values)

    def _failed(self, error: BaseException | str) -> VisageError:
        """What a person is told of a failure, on the run's page too."""
        failure = self._failure(error)
        self.page.end(run_record.FAILED, str(failure))
        return failure

    def _failure(self, error: BaseException | str) -> VisageError:
        subject, log = (f"The step {self.current}", self.current) if self.current else ("The run", "mlflow")
        cause, hint = (error.message, error.hint) if isinstance(error, VisageError) else (str(error), "")
        log_file = self.logs / f"{log}.log"
        lines = [f"Log: {log_file}"] if log_file.exists() else []
        if hint:
            lines.insert(0, hint)
        if self.command:
            lines.append(f"To go on from this step: {self.command}")
        usage = isinstance(error, VisageError) and error.usage
        return VisageError(f"{subject} failed: {cause}", "\n".join(lines), usage=usage)


def _manifest_of(folder: Path, digest: str) -> Manifest | None:
    """The manifest of the artifact of a fingerprint, in the folder of its step."""
    artifact = folder / digest[:16]
    return read_manifest(artifact) if is_whole(artifact) else None


@contextmanager
def _sole_use(root: Path) -> Iterator[None]:
    """Keep the root to this run: no other run, and no worker that a killed run left behind."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("a+")
    except OSError as error:
        hint = "Free some space." if error.errno == errno.ENOSPC else "Name another with --root."
        raise VisageError(f"The pipeline root {root} cannot be used: {error.strerror}.", hint) from error
    with lock, (root / ".workers").open("a+") as workers:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            raise VisageError(
                f"Another run is using {root} ({owner}).", "Wait for it, or name another root with --root."
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        deadline = time.monotonic() + _ORPHANS_END
        while True:
            try:
                fcntl.flock(workers, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise VisageError(f"Workers of an earlier run are still writing to {root}.") from error
                time.sleep(0.1)
        fcntl.flock(workers, fcntl.LOCK_UN)
        yield
