"""The local runner: the DAG on this machine, each step once, nothing twice.

ROOT/artifacts/STEP/FINGERPRINT   what the steps wrote
ROOT/logs/RUN/STEP.log            what they said
ROOT/mlflow.db, ROOT/mlartifacts  the MLflow store, unless MLFLOW_TRACKING_URI names another
"""

import errno
import fcntl
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from components import registry
from components.step import Step, Surroundings, identity
from pipeline import tracking
from pipeline.dag import STEPS, in_order, named
from pipeline.local import worker
from pipeline.local.display import Display
from pipeline.recipe import Recipe
from pipeline.tracking import PipelineRun
from schemas.artifact import Manifest, is_whole, read_manifest
from schemas.error import VisageError

_ORPHANS_END = 20.0
"""Seconds to wait for the workers of a killed run; they end as soon as they notice, within moments."""


@dataclass
class Outcome:
    """What a pipeline run came to.

    Attributes:
        artifacts: folder of every step's artifact, by step.
        manifests: their manifests.
        reused: names of the steps that were not run anew.
        seconds: of the whole run.
    """

    artifacts: dict[str, Path] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    reused: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run(
    recipe: Recipe,
    root: Path,
    display: Display,
    *,
    force: Collection[str] = (),
    command: str = "",
    steps: Sequence[Step] = STEPS,
) -> Outcome:
    """Run every step whose artifact is not on disk yet, independent ones side by side.

    Args:
        recipe: the settings.
        root: folder of all that the pipeline writes; made if it is missing.
        display: shows how it goes on.
        force: names of steps to run anew; what depends on them follows.
        command: that goes on after a failure, for the message.
        steps: the DAG.

    Raises:
        VisageError: a step failed, the root cannot be used, or another run is using it.
    """
    for name in force:
        named(name, steps)
    clock = time.monotonic()
    root = root.absolute()
    with _sole_use(root):
        session = _Session(recipe, root, display, set(force), command, in_order(steps))
        outcome = session.run()
    outcome.seconds = time.monotonic() - clock
    return outcome


class _Session:
    """One pipeline run in progress."""

    def __init__(
        self, recipe: Recipe, root: Path, display: Display, force: set[str], command: str, steps: list[Step]
    ) -> None:
        self.recipe, self.root, self.display, self.force = recipe, root, display, force
        self.command, self.steps = command, steps
        key = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        self.environment = tracking.environment(root)
        self.surroundings = Surroundings(
            recipe.name, tracking.git_commit(), self.environment["MLFLOW_TRACKING_URI"], root=root
        )
        self.pipeline_run = PipelineRun(key, recipe.name, str(root), self.surroundings.commit)
        self.logs = root / "logs" / key
        self.outcome = Outcome()
        self.running: dict[Future[Manifest], Step] = {}
        self.finals: dict[str, Path] = {}

    def run(self) -> Outcome:
        waiting = self._reuse(list(self.steps))
        if not waiting:
            return self.outcome
        with self._workers() as pool:
            try:
                self._ask(pool, tracking.close_abandoned, self.pipeline_run)
                reused = {name: self.outcome.manifests[name].fingerprint for name in self.outcome.reused}
                self._ask(pool, tracking.note_reuse, self.pipeline_run, reused)
                if any(step.reads_champion for step in waiting):
                    champion = self._ask(pool, registry.champion, self.recipe.settings.registry.name)
                    self.surroundings = replace(self.surroundings, champion=champion)
                while waiting or self.running:
                    waiting = self._start(pool, waiting)
                    self._finish(pool)
                    waiting = self._reuse(waiting)
                self._ask(pool, tracking.close, self.pipeline_run, "FINISHED", self._figures())
            except BrokenProcessPool as error:
                names = ", ".join(step.name for step in self.running.values()) or "a step"
                raise self._failure(
                    names, "its process was killed, perhaps for want of memory (the system's log knows)"
                ) from error
        return self.outcome

    def _reuse(self, waiting: list[Step]) -> list[Step]:
        """Take over what is on disk already; what remains must be run."""
        remaining = []
        for step in waiting:
            inputs = self._inputs(step)
            if inputs is None:
                remaining.append(step)
                continue
            digest = identity.of_step(step.name, self.recipe.of(step), inputs).digest
            final = self.root / "artifacts" / step.name / digest[:16]
            self.finals[step.name] = final
            if is_whole(final) and step.name not in self.force:
                self.outcome.reused.append(step.name)
                self._done(step, read_manifest(final))
                self.display.reused(step.name)
            else:
                remaining.append(step)
        return remaining

    def _start(self, pool: ProcessPoolExecutor, waiting: list[Step]) -> list[Step]:
        remaining = []
        for step in waiting:
            inputs = self._inputs(step)
            if inputs is None:
                remaining.append(step)
                continue
            self.display.started(step.name)
            final, log_file = self.finals[step.name], self.logs / f"{step.name}.log"
            settings, run, around = self.recipe.of(step), self.pipeline_run, self.surroundings
            future = pool.submit(worker.run_step, step, settings, inputs, final, log_file, run, around)
            self.running[future] = step
        return remaining

    def _finish(self, pool: ProcessPoolExecutor) -> None:
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        failed: tuple[Step, BaseException] | None = None
        for future in done:
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                raise error
            step = self.running.pop(future)
            if error is None:
                self._done(step, future.result())
                self.display.ended(step.name, "done")
            else:
                self.display.ended(step.name, "failed")
                failed = failed or (step, error)
        if failed:
            wait(self.running)  # what runs beside it is not lost
            failure = self._failure(failed[0].name, failed[1])
            with suppress(VisageError):  # if the server is away too, the step's own failure is what must be told
                self._ask(pool, tracking.close, self.pipeline_run, "FAILED", {})
            raise failure from failed[1]

    def _done(self, step: Step, manifest: Manifest) -> None:
        self.outcome.artifacts[step.name] = self.finals[step.name]
        self.outcome.manifests[step.name] = manifest

    def _inputs(self, step: Step) -> dict[str, Path] | None:
        """Folders of what a step reads; None while some of it is not there yet."""
        if any(name not in self.outcome.artifacts for name in step.inputs):
            return None
        return {name: self.outcome.artifacts[name] for name in step.inputs}

    def _figures(self) -> dict[str, object]:
        """The counts of all steps by `STEP.name`, so that pipeline runs can be compared as rows of one table."""
        held = self.outcome.manifests.items()
        return {f"{step}.{name}": value for step, manifest in held for name, value in manifest.counts.items()}

    def _ask(self, pool: ProcessPoolExecutor, function: Callable[..., Any], *arguments: object) -> Any:
        return pool.submit(worker.call, function, self.logs / "mlflow.log", *arguments).result()

    def _failure(self, name: str, error: BaseException | str) -> VisageError:
        cause, hint = (error.message, error.hint) if isinstance(error, VisageError) else (str(error), "")
        log_file = self.logs / f"{name}.log"
        lines = [f"Log: {log_file}"] if log_file.exists() else []
        if hint:
            lines.insert(0, hint)
        if self.command:
            lines.append(f"To go on from this step: {self.command}")
        usage = isinstance(error, VisageError) and error.usage
        return VisageError(f"The step {name} failed: {cause}", "\n".join(lines), usage=usage)

    @contextmanager
    def _workers(self) -> Iterator[ProcessPoolExecutor]:
        """Processes that run steps; a second one starts only when two steps are ready at once."""
        context = multiprocessing.get_context("spawn")
        events = context.SimpleQueue()
        listener = threading.Thread(target=self._listen, args=(events,), daemon=True)
        listener.start()
        pool = ProcessPoolExecutor(
            max_workers=len(self.steps),
            mp_context=context,
            initializer=worker.start,
            initargs=(events, self.environment, str(self.root / ".workers")),
        )
        try:
            yield pool
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            events.put(None)
            listener.join(timeout=5)

    def _listen(self, events: "multiprocessing.SimpleQueue[worker.Event | None]") -> None:
        while (event := events.get()) is not None:
            if event.kind == "progress":
                self.display.progress(event.step, *event.values)
            else:
                self.display.metric(event.step, *event.values)


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
            who = lock.read().strip() or "another process"
            raise VisageError(
                f"Another run is using {root} ({who}).", "Wait for it, or name another root with --root."
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
