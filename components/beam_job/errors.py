"""How an error on a worker comes back to the person who started the job: as one message.

Runners hand on what a worker raised as text at best, with the tracebacks of both sides and with their own around it. A
VisageError therefore travels inside its text, marked; of any other error the last line of its traceback is what counts.
"""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.error import VisageError


@contextmanager
def errors_reach_driver(writing: str | Path) -> Iterator[None]:
    """Around work on a worker: lets a VisageError, and an error of writing, reach the person who started the job.

    Args:
        writing: the folder or URL that is written to, to be named in the message.
    """
    try:
        yield
    except VisageError as error:
        raise RuntimeError(_marked(error)) from error
    except OSError as error:
        advice = "Free some space, or choose a folder that can be written to, then run it again."
        raise RuntimeError(
            _marked(VisageError(f"{writing} cannot be written to: {error.strerror or error}.", advice))
        ) from error


MARK = "visage-error"
_MARKED = re.compile(f"{MARK}:([A-Za-z0-9+/=]+):{MARK}")
_TRACEBACK = "Traceback (most recent call last):"
_STAGE = re.compile(r" \[while running '(.*?)(?:-ptransform-\d+)?'\]")
_OURS = re.compile(r'File "[^"]*?(?<!tests/)((?:components|pipeline|schemas)/[^"]+)", line (\d+)')

_NO_VISAGE = re.compile(r"ModuleNotFoundError: No module named '(components|schemas)\b")
_WORKER_LOST = re.compile(
    r"SDK worker disconnected|SDK harness.*(?:disconnected|exited)|worker lost contact|Lost task manager|ExecutorLost"
    # Prism, when it is about to send something to a worker that has just ended
    r"|panic in [^\n]*bundle[^\n]*: send on closed channel",
    re.IGNORECASE,
)
_RUNNER_PANICKED = re.compile(r"panic in [^:\n]*: (.*?)(?:, stage: |,?\s*stackTrace:|\n|$)|pipeline panicked: (.*)")
_NO_WORKER = re.compile(r"didn't get control connection|unable to start sdk worker", re.IGNORECASE)


def explanation(text: str) -> VisageError | None:
    """What a runner's account of an error tells a person; None where it holds no error of a worker or of the runner itself.

    Args:
        text: the message of whatever the runner raised, usually with tracebacks.
    """
    marked = _MARKED.search(text)
    if marked:
        message, hint, usage = json.loads(base64.b64decode(marked[1]))
        return VisageError(message, hint, usage=usage)
    if match := _NO_VISAGE.search(text):
        return VisageError(
            f"The workers have no Visage: none of them finds the module {match[1]}.",
            "Start them from the image of infra/Dockerfile, or install the same version where they run.",
        )
    if _NO_WORKER.search(text):
        return VisageError(
            "The runner found no worker that takes the job.",
            "See that --environment_type and --environment_config among beam.options name workers that run, as the runner "
            "reaches them.",
        )
    if _TRACEBACK in text:
        return VisageError(f"A worker failed{_where(text)}", "`visage --debug ...` shows the whole traceback.")
    if _WORKER_LOST.search(text):
        return VisageError(
            "A worker has ended in the middle of the job, perhaps killed for want of memory.",
            "Run the same command again; with fewer beam.workers if memory is short.",
        )
    if match := _RUNNER_PANICKED.search(text):
        return VisageError(
            f"The runner itself failed: {(match[1] or match[2]).strip()}",
            "Run the same command again. `visage --debug ...` shows the runner's own account.",
        )
    return None


def _where(text: str) -> str:
    """Stage, line of our code and error, of the last traceback in a text."""
    lines = text.rpartition(_TRACEBACK)[2].splitlines()[1:]
    raised = next((line for line in lines if line and not line[0].isspace()), lines[-1] if lines else "")
    stage, ours = _STAGE.search(text), _OURS.findall(text)
    in_stage = f" in '{stage[1]}'" if stage else ""
    at_line = " at {}:{}".format(*ours[-1]) if ours else ""
    return f"{in_stage}{at_line}: {_STAGE.sub('', raised).strip()}"


def _marked(error: VisageError) -> str:
    """An error's text, and after it the whole of it in letters that no runner escapes or breaks."""
    payload = json.dumps([error.message, error.hint, error.usage]).encode()
    return f"{error.message} {MARK}:{base64.b64encode(payload).decode()}:{MARK}"
