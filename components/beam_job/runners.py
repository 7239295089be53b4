"""Pipelines on the runner that the settings name."""

import json
import logging
from typing import TYPE_CHECKING

from components.beam_job.errors import EXPLAINED, MARK
from components.beam_job.settings import BeamSettings, workers_here
from schemas.error import VisageError

if TYPE_CHECKING:
    import apache_beam as beam


# Beam says at import that it lacks a package which google-crc32c makes needless.
logging.getLogger().addFilter(lambda record: "crcmod package not found" not in record.getMessage())
# What `errors_reach_driver` carries is shown once, by whoever started the job, and not with Beam's traceback before.
logging.getLogger("apache_beam.runners.common").addFilter(lambda record: MARK not in record.getMessage())

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


def run(job: "beam.Pipeline") -> None:
    """Run a pipeline to its end.

    Raises:
        VisageError: one that was raised inside `errors_reach_driver` on any worker.
    """
    try:
        job.run().wait_until_finish()
    except Exception as error:  # runners raise what they like, and give the worker's own error as text at best
        found = EXPLAINED.search(str(error))
        if found is None:
            raise
        message, hint, usage = json.loads(found[1])
        raise VisageError(message, hint, usage=usage) from error
