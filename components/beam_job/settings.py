"""Where Beam jobs run."""

from typing import Literal

from components.step.resources import cores
from components.step.settings import Section, runtime_only


class BeamSettings(Section):
    """Where Beam jobs run. None of it changes what comes out."""

    runner: Literal["local", "portable", "flink", "spark", "dataflow"] = runtime_only(
        "local",
        "local: this machine; portable: the job server that `options` name, of whatever runner; flink, spark: their job "
        "server, or a jar of it; dataflow: Google's. See components/beam_job/README.md",
    )
    staging: str = runtime_only(
        "",
        "folder or URL (s3://, gs://) through which workers pass files on; all of them reach it. Empty: beside the output",
    )
    workers: int = runtime_only(
        0, "workers on this machine, or the cluster's parallelism; 0: one a core, or as the cluster has it", ge=0
    )
    options: tuple[str, ...] = runtime_only((), "further options of Beam, as `--job_endpoint=flink-jobs:8099`")


def workers_here(settings: BeamSettings) -> int:
    """How many workers this machine is to have: 0 if the job runs on a cluster."""
    return (settings.workers or cores()) if settings.runner == "local" else 0
