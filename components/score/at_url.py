"""A scoring job whose output is a URL: what `components.step.execute` does for a folder of this machine.

There is no renaming in a store: the scores are written in their place, and the manifest comes last. There are no locks either: a
lease keeps two jobs at one URL apart.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from components.score import STEP, lease, pinned, run
from components.score.settings import Settings
from components.step import StepContext, Surroundings, Tracker
from components.step.execute import manifest_of
from components.step.identity import Identity
from components.storage import files
from components.storage.names import joined
from schemas.artifact import MANIFEST, Manifest, as_text
from schemas.error import VisageError

_SHOWN = ("summary.json", "summary.html")


@contextmanager
def brought_home(url: str) -> Iterator[Path]:
    """A folder with an output's manifest and summary, as far as they are there: enough to tell what was done.

    Raises:
        VisageError: the store does not answer, or refuses.
    """
    with tempfile.TemporaryDirectory(prefix="visage-") as folder:
        with run.explaining_errors(url):
            for name in (MANIFEST, *_SHOWN):
                if files.exists(joined(url, name)):
                    files.copy(joined(url, name), str(Path(folder, name)))
        yield Path(folder)


def is_begun(url: str) -> bool:
    """Whether a job was begun at a URL and has not cleared up yet.

    Raises:
        VisageError: the store does not answer, or refuses.
    """
    with run.explaining_errors(url):
        return pinned.is_there(url)


def check_free(url: str, step_identity: Identity) -> None:
    """See that a URL holds nothing, or this very job, interrupted.

    Raises:
        VisageError: it holds something else, or the store does not answer.
    """
    try:
        with run.explaining_errors(url):
            begun = pinned.read(url)
            free = begun is not None or all(name.startswith(f"{lease.FOLDER}/") for name in files.file_names(url))
    except ValueError as error:
        raise VisageError(f"{error}.", "Name another place with --out, or remove it.", usage=True) from error
    if begun and begun.fingerprint != step_identity.digest:
        raise VisageError(
            f"{url} holds another job, begun at {begun.started} and interrupted, unless it is at work still: of other photos, "
            "settings or another version of Visage.",
            "Give that job's command again, name another place with --out, or remove what is there.",
            usage=True,
        )
    if not free:
        raise VisageError(f"{url} holds something else.", "Name another place with --out, or remove it.", usage=True)


def execute(
    url: str, settings: Settings, tracker: Tracker, surroundings: Surroundings, step_identity: Identity
) -> Manifest:
    """Score into a URL; goes on from what an interrupted run of the same job left there.

    Args:
        url: that the scores go to; it holds nothing, this job, or what is to be replaced by it.
        settings: of the step.
        tracker: where metrics and progress go.
        surroundings: of the run.
        step_identity: the step's identity.

    Raises:
        VisageError: as the step, another job is at work there, or the store does not answer.
    """
    with run.explaining_errors(url), lease.lease(url) as see_that_it_is_kept:
        started, clock = datetime.now(UTC), time.monotonic()
        with tempfile.TemporaryDirectory(prefix="visage-") as nowhere:
            context = StepContext({}, Path(nowhere), None, tracker, step_identity.digest, **vars(surroundings))
            counts = run.score(url, settings, context, see_that_it_is_kept)
        manifest = manifest_of(STEP, step_identity, counts, started, time.monotonic() - clock)
        see_that_it_is_kept()
        files.write_bytes(joined(url, MANIFEST), as_text(manifest).encode())
        run.clear_up(url, settings)
    return manifest
