"""Where Beam jobs run, and how their errors come back. Ingest and score use it."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from components.step.resources import cores
from components.step.settings import Section, runtime_only
from schemas.error import VisageError

if TYPE_CHECKING:
    import apache_beam as beam


# Beam says at import that it lacks a package which google-crc32c makes needless.
logging.getLogger().addFilter(lambda record: "crcmod package not found" not in record.getMessage())
# What `errors_reach_driver` carries is shown once, by whoever started the job, and not with Beam's traceback before.
logging.getLogger("apache_beam.runners.common").addFilter(lambda record: _MARK not in record.getMessage())


class BeamSettings(Section):
    """Where Beam jobs run. None of it changes what comes out."""

    runner: Literal["local", "flink", "dataflow", "portable"] = runtime_only(
        "local", "local: this machine; others: a cluster that sees the same files, found by `options`"
    )
    workers: int = runtime_only(
        0, "workers on this machine, or the cluster's parallelism; 0: one a core, or as the cluster has it", ge=0
    )
    options: tuple[str, ...] = runtime_only((), "further options of Beam, as `--flink_master=flink:8081`")


_SAMPLING_MS = 5
"""Milliseconds between two looks at what a stage is doing; Beam's default is 200."""

_RUNNERS = {"flink": "FlinkRunner", "dataflow": "DataflowRunner", "portable": "PortableRunner"}


def pipeline(settings: BeamSettings) -> "beam.Pipeline":
    """An empty pipeline on the runner that the settings name; `run` runs it.

    The local one is Beam's FnApiRunner with its workers as threads of this process: Pillow and TensorFlow work outside the
    GIL, and nothing has to be started. Beam's DirectRunner would try its Prism runner first, which is a download.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    if settings.runner != "local":
        parallel = [f"--parallelism={settings.workers}"] if settings.workers and settings.runner == "flink" else []
        return beam.Pipeline(
            options=PipelineOptions([f"--runner={_RUNNERS[settings.runner]}", *parallel, *settings.options])
        )
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.runners.worker.statesampler import StateSampler

    # A stage ends when the thread that samples it wakes up for the last time, and no option says how soon that is.
    StateSampler.__init__.__defaults__ = (_SAMPLING_MS,)
    # It advises processes over threads, which would be right for work that holds the GIL.
    logging.getLogger("apache_beam.runners.portability.fn_api_runner.fn_runner").setLevel(logging.ERROR)
    options = ["--direct_running_mode=in_memory", f"--direct_num_workers={workers_here(settings)}", *settings.options]
    return beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(options))


def workers_here(settings: BeamSettings) -> int:
    """How many workers this machine is to have: 0 if the job runs on a cluster."""
    return (settings.workers or cores()) if settings.runner == "local" else 0


def run(job: "beam.Pipeline") -> None:
    """Run a pipeline to its end.

    Raises:
        VisageError: one that was raised inside `errors_reach_driver` on any worker.
    """
    try:
        job.run().wait_until_finish()
    except Exception as error:  # runners raise what they like, and give the worker's own error as text at best
        found = _EXPLAINED.search(str(error))
        if found is None:
            raise
        message, hint, usage = json.loads(found[1])
        raise VisageError(message, hint, usage=usage) from error


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


_MARK = "visage-error"
_EXPLAINED = re.compile(f"{_MARK}(\\[.*?\\]){_MARK}")


def _explanation(error: VisageError) -> str:
    return _MARK + json.dumps([error.message, error.hint, error.usage]) + _MARK
