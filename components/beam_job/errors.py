"""How an error on a worker comes back to the person who started the job."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.error import VisageError


@contextmanager
def errors_reach_driver(writing: str | Path) -> Iterator[None]:
    """Around work on a worker: lets a VisageError, and an error of writing to disk, reach the person who started the job.

    Args:
        writing: the folder that is written to, to be named in the message.
    """
    try:
        yield
    except VisageError as error:
        raise RuntimeError(_explanation(error)) from error
    except OSError as error:
        advice = "Free some space, or choose a folder that can be written to, then run it again."
        raise RuntimeError(
            _explanation(VisageError(f"{writing} cannot be written to: {error.strerror or error}.", advice))
        ) from error


MARK = "visage-error"
EXPLAINED = re.compile(f"{MARK}(\\[.*?\\]){MARK}")


def _explanation(error: VisageError) -> str:
    return MARK + json.dumps([error.message, error.hint, error.usage]) + MARK
