"""Running a step: from its settings and inputs to a whole artifact."""

import fcntl
import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.step import identity
from components.step.identity import Identity
from components.step.settings import Section
from components.step.step import Step, StepContext, Surroundings, Tracker
from schemas import artifact
from schemas.error import VisageError

log = logging.getLogger("visage.step")

_ALONE = Surroundings()

_WORK = ".work"
"""File of a partial folder: the identity that it is being written for. Whoever writes into the folder holds its lock."""


def execute(
    step: Step,
    settings: Section,
    inputs: Mapping[str, Path],
    final: Path,
    tracker: Tracker,
    surroundings: Surroundings = _ALONE,
    step_identity: Identity | None = None,
) -> artifact.Manifest:
    """Run a step and make what it writes the artifact `final`.

    The output is written beside `final` and renamed when it is whole. If the step fails or is killed, the partial folder
    stays: a resumable step goes on from it if it is given the same work again, any other starts anew.

    Args:
        step: to run.
        settings: its settings.
        inputs: folder of every input artifact, by the input's name.
        final: folder that the artifact is to be.
        tracker: where metrics and progress go.
        surroundings: of the run.
        step_identity: the step's identity, where it has been taken already; files outside can be many.

    Raises:
        VisageError: the step failed in a way that a person can mend; an input is not a whole artifact; `final` holds
            something that is no artifact; another job is writing there.
    """
    if final.exists() and not artifact.is_whole(final) and (not final.is_dir() or any(final.iterdir())):
        raise VisageError(
            f"{final} holds something that no step made.", "Name a folder that is new or empty.", usage=True
        )
    step_identity = step_identity or identity.of_step(step, settings, inputs, surroundings.champion)
    partial = artifact.partial_folder(final, step_identity.digest)
    for line in not_gone_on_with(step, step_identity, partial, artifact.partial_folders(final)):
        log.warning("%s", line)
    with _sole_use(final, partial):
        if not step.resumable:
            _empty(partial)
        started, clock = datetime.now(UTC), time.monotonic()
        previous = newest(final.parent, step.name, besides=final)
        context = StepContext(inputs, partial, previous, tracker, step_identity.digest, **vars(surroundings))
        (partial / _WORK).write_text(step_identity.as_json())
        try:
            counts = step.run(settings, context)
        except VisageError:
            with suppress(VisageError):  # if the server is away too, the step's own failure is what must be told
                tracker.reports(partial, step.report_globs)
            raise
        manifest = manifest_of(step, step_identity, counts, started, time.monotonic() - clock)
        artifact.publish(partial, final, manifest)
        (final / _WORK).unlink(missing_ok=True)
    for leftover in artifact.partial_folders(final):  # NAME is taken now: no job can go on there
        log.info("removed what an interrupted job of %s had left in %s", step.name, leftover)
        shutil.rmtree(leftover, ignore_errors=True)
    return manifest


def manifest_of(
    step: Step, step_identity: Identity, counts: Mapping[str, Any], started: datetime, seconds: float
) -> artifact.Manifest:
    """The manifest of what a step has made: its identity, what it counted, when it was started and how long it took."""
    return artifact.Manifest(
        step=step.name,
        fingerprint=step_identity.digest,
        settings=step_identity.settings,
        inputs=step_identity.inputs,
        external=step_identity.external,
        champion=step_identity.champion,
        code=step_identity.code,
        installed=step_identity.installed,
        lock=identity.of_lock(),
        counts=dict(counts),
        started=started.isoformat(timespec="microseconds"),
        seconds=round(seconds, 3),
    )


def newest(folder: Path, step: str, besides: Path | None = None) -> Path | None:
    """The whole artifact of a step in a folder that was made last; those of other steps do not count."""
    if not folder.is_dir():
        return None
    artifacts = [path for path in folder.iterdir() if path != besides and path.name[0] != "." and _is_of(step, path)]
    return max(artifacts, key=lambda path: (path / artifact.MANIFEST).stat().st_mtime, default=None)


def not_gone_on_with(step: Step, now: Identity, mine: Path, partials: Iterable[Path]) -> list[str]:
    """A line about each job of a resumable step that was interrupted and is not gone on with; none if its own is.

    Args:
        step: that is about to run.
        now: its identity.
        mine: its partial folder, if it was interrupted before.
        partials: folders that interrupted jobs of the step have left.
    """
    if not step.resumable or (mine / _WORK).exists():
        return []
    return [
        f"{step.name} is done anew: the interrupted job in {partial} is another one "
        f"({_listed(now.changes(_read(partial)))}). It stays until this one is done; to go on with it instead, take back what "
        "was changed."
        for partial in partials
        if partial != mine
    ]


def collect_outdated(step: Step, now: Identity, partials: Iterable[Path]) -> list[str]:
    """Remove the partial folders of a step that no run will use again; gives a line about each.

    Those are the ones that a step which cannot resume has left, and the ones made from code, packages, files or inputs that
    are not what they were. What differs in settings alone, or was made against another champion, may be gone on with.
    Nobody may be writing to them.
    """
    lines = []
    for partial in partials:
        changed = now.changes(_read(partial))
        if step.resumable and not changed.keys() & {"inputs", "files", "code", "installed", "work"}:
            continue
        shutil.rmtree(partial, ignore_errors=True)
        lines.append(f"removed what an interrupted job of {step.name} had left in {partial} ({_listed(changed)})")
    return lines


def _listed(changed: Mapping[str, str]) -> str:
    return "; ".join(f"{kind}: {names}" for kind, names in changed.items()) or "the same work"


def _read(partial: Path) -> str:
    try:
        return (partial / _WORK).read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _is_of(step: str, folder: Path) -> bool:
    try:
        return artifact.is_whole(folder) and artifact.read_manifest(folder).step == step
    except VisageError:
        return False


@contextmanager
def _sole_use(final: Path, partial: Path) -> Iterator[None]:
    """Make the partial folder, and keep what will be `final` to this job.

    Raises:
        VisageError: another job is writing it.
    """
    partial.mkdir(parents=True, exist_ok=True)
    locks = []
    try:
        for folder in artifact.partial_folders(final):
            lock = (folder / _WORK).open("a")
            locks.append(lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise VisageError(
                    f"Another job is writing to {final}.", "Wait for it, or choose another folder."
                ) from error
        yield
    finally:
        for lock in locks:
            lock.close()


def _empty(folder: Path) -> None:
    """Remove all that a folder holds but the note on its work, whose lock is held."""
    for path in folder.iterdir():
        if path.name == _WORK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
