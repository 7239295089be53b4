"""Jobs that a test can kill: run in a process of their own, at a pace that leaves time for it."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from components.storage.names import is_remote
from tests import preloaded

PART = 7
"""Photos in a part."""


def _job(tracking: str, photos: list[str], output: str, workers: int, pause: float) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = tracking
    from components.score import STEP, at_url, job, lease, parts, plan
    from components.score.settings import Settings
    from components.step import StepContext, Surroundings, Tracker, identity

    score_part, from_bytes, to_disk = job.score_part, parts.Part.from_bytes, os.fsync

    def slowly(*arguments: Any) -> Any:
        time.sleep(pause)
        return score_part(*arguments)

    def read_slowly(data: bytes) -> Any:
        time.sleep(pause / 2)
        return from_bytes(data)

    def to_disk_slowly(file: int) -> None:
        time.sleep(pause / 4)
        to_disk(file)

    plan.PART, lease.PATIENCE = PART, 1
    mock.patch.object(os, "fsync", to_disk_slowly).start()
    mock.patch.object(job, "score_part", slowly).start()
    mock.patch.object(parts.Part, "from_bytes", read_slowly).start()
    score = {"photos": photos, "model": "visage@champion", "faces": "whole"}
    settings = Settings.model_validate({"score": score, "beam": {"workers": workers}})
    if is_remote(output):
        at_url.execute(output, settings, Tracker(), Surroundings(), identity.of_step(STEP, settings, {}))
    else:
        STEP.run(settings, StepContext({}, Path(output)))


def start(tracking: str, photos: list[Path], output: Path | str, workers: int = 2, pause: float = 0.1) -> Any:
    """Start a job; gives its process. What it says goes to a file beside the first photos."""
    arguments = (tracking, [str(path) for path in photos], str(output), workers, pause)
    return preloaded.start(_job, arguments, photos[0].parent, os.environ, photos[0].parent / "said")


def kill_when(process: Any, happened: Callable[[], bool], patience: float = 600) -> None:
    """Kill -9 a process once something has happened.

    Raises:
        TimeoutError: it did not happen.
        AssertionError: the process ended before.
    """
    until = time.monotonic() + patience
    while not happened():
        assert process.is_alive(), "the job ended before it could be killed"
        if time.monotonic() > until:
            process.kill()
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.002)
    process.kill()
    process.join()
