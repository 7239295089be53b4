"""Pipelines on the runner that the settings name."""

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from components.beam_job import job_server, requirements
from components.beam_job.errors import MARK, explanation
from components.beam_job.settings import BeamSettings, workers_here
from schemas.error import VisageError

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.runners.runner import PipelineResult


# Beam says at import that it lacks a package which google-crc32c makes needless.
logging.getLogger().addFilter(lambda record: "crcmod package not found" not in record.getMessage())
# What `errors_reach_driver` carries is shown once, by whoever started the job, and not with Beam's traceback before.
logging.getLogger("apache_beam.runners.common").addFilter(lambda record: MARK not in record.getMessage())
# A job server's own messages: what went wrong is raised as well, and how the job gets on is told by the step.
logging.getLogger().addFilter(
    lambda record: (
        record.module != "portable_runner" or record.levelno == logging.WARNING or logging.root.level <= logging.DEBUG
    )
)

_SAMPLING_MS = 20
"""Milliseconds between two looks at what a stage is doing, at most; Beam's own are 200. A stage is over when the thread that
looks has woken up once more: README.md has what that came to."""

_RUNNERS = {
    "portable": "PortableRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "dataflow": "DataflowRunner",
}

_WORKERS = {"portable": "sdk_worker_parallelism", "flink": "parallelism", "dataflow": "max_num_workers"}
"""The option by which a runner is told how many workers the job may have. Spark has none: its cluster says."""


def pipeline(settings: BeamSettings) -> "beam.Pipeline":
    """An empty pipeline on the runner that the settings name; `run` runs it.

    The local one is Beam's FnApiRunner with its workers as threads of this process: Pillow and TensorFlow work outside the
    GIL, and nothing has to be started. Beam's DirectRunner would try its Prism runner first, which is a download.

    Raises:
        VisageError: the runner lacks something that it needs, or its job server does not answer.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    if settings.runner != "local":
        arguments = [f"--runner={_RUNNERS[settings.runner]}", f"--job_server_timeout={job_server.RUNS_FOR}"]
        if settings.workers and settings.runner in _WORKERS:
            arguments.append(f"--{_WORKERS[settings.runner]}={settings.workers}")
        options = PipelineOptions([*arguments, *settings.options])
        requirements.check(settings, options)
        job = beam.Pipeline(options=options)
        if endpoint := _job_endpoint(job):
            job_server.see_that_it_answers(endpoint)
        return job
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.runners.worker.statesampler import StateSampler

    StateSampler.__init__.__defaults__ = (_SAMPLING_MS,)  # there is no option for it
    # It advises processes over threads, which would be right for work that holds the GIL.
    logging.getLogger("apache_beam.runners.portability.fn_api_runner.fn_runner").setLevel(logging.ERROR)
    arguments = ["--direct_running_mode=in_memory", f"--direct_num_workers={workers_here(settings)}"]
    options = PipelineOptions([*arguments, *settings.options])
    requirements.check(settings, options)
    return beam.Pipeline(runner=FnApiRunner(), options=options)


def run(job: "beam.Pipeline") -> "PipelineResult":
    """Run a pipeline to its end; gives its result, which knows what was counted.

    Raises:
        VisageError: one that was raised inside `errors_reach_driver` on any worker; on a cluster any error of a worker, in
            one message, and a job server that does not answer.
    """
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    try:
        if endpoint := _job_endpoint(job):
            return job_server.run(job, endpoint)
        result = job.run()
        try:
            result.wait_until_finish()
        except KeyboardInterrupt:
            with suppress(Exception):
                result.cancel()
            raise
        return result
    except VisageError:
        raise
    except Exception as error:  # runners raise what they like, and give the worker's own error as text at best
        explained = explanation(str(error))
        # On this machine a worker's programming error is its own exception still, with a traceback that shows where.
        if explained is None or (isinstance(job.runner, FnApiRunner) and MARK not in str(error)):
            raise
        raise explained from error


def _job_endpoint(job: "beam.Pipeline") -> str:
    """Address of the job server that a pipeline goes to; empty for one that Beam itself runs or starts."""
    from apache_beam.options.pipeline_options import PortableOptions
    from apache_beam.runners.portability.portable_runner import PortableRunner

    endpoint = job.options.view_as(PortableOptions).job_endpoint
    return endpoint if endpoint and endpoint != "embed" and isinstance(job.runner, PortableRunner) else ""
