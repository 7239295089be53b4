"""A job server, which takes jobs for Prism, Flink, Spark and others: whether it answers, before a job and all through it."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.error import VisageError

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.runners.runner import PipelineResult

ANSWERS_WITHIN = 15
"""Seconds that a job server has to answer in."""

ASKED_EVERY = 5
"""Seconds between two questions while a job runs, so that a server that hangs is told of after 20."""

RUNS_FOR = 365 * 86400
"""Seconds that a job may take. Beam ends its stream of the job's states after `--job_server_timeout`, by default 300."""


def see_that_it_answers(endpoint: str) -> None:
    """Ask a job server for the options that it knows, which any can tell at once.

    Raises:
        VisageError: there is no answer in time.
    """
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    with grpc.insecure_channel(endpoint) as channel:
        try:
            beam_job_api_pb2_grpc.JobServiceStub(channel).DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=ANSWERS_WITHIN, wait_for_ready=True
            )
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise VisageError(
                    f"The job server at {endpoint} does not answer.",
                    "See that it runs, and that --job_endpoint among beam.options is its address.",
                ) from error
            # any other code is an answer: that it does not know the question


def run(job: "beam.Pipeline", endpoint: str) -> "PipelineResult":
    """Run a pipeline to its end on a job server, and give its result; when this process is stopped, the job is cancelled.

    Raises:
        VisageError: the job server has stopped answering.
        Exception: whatever the runner raises.
    """
    import grpc

    submitted: list[PipelineResult] = []
    ended: Future[None] = Future()

    def finish() -> None:
        try:
            submitted.append(job.run())
            submitted[0].wait_until_finish()
            ended.set_result(None)
        except BaseException as error:  # whatever it is, it is raised in the thread that waits
            ended.set_exception(error)

    _pass_over_lost_streams()
    threading.Thread(target=finish, name="Beam job", daemon=True).start()
    try:
        while not wait([ended], timeout=ASKED_EVERY).done:
            see_that_it_answers(endpoint)
        ended.result()
        return submitted[0]
    except grpc.RpcError as error:
        raise VisageError(
            f"The job server at {endpoint} has gone in the middle of the job.",
            "See why, in its log; then run the same command again.",
        ) from error
    except KeyboardInterrupt:
        for result in submitted:
            cancelling = threading.Thread(target=result.cancel, daemon=True)
            cancelling.start()
            cancelling.join(ASKED_EVERY)
        raise


def _pass_over_lost_streams() -> None:
    """From now on, say nothing of a server's streams that end early.

    Beam reads them in threads of its own, which have no say in what becomes of a job; those of a server that has gone may
    notice it only after the job has been given up.
    """
    if not isinstance(threading.excepthook, _AllButLostStreams):
        threading.excepthook = _AllButLostStreams(threading.excepthook)
        logging.getLogger("apache_beam.runners.worker.data_plane").addFilter(_of_no_lost_stream)


@dataclass(frozen=True)
class _AllButLostStreams:
    """An excepthook of threads before another."""

    hook: Callable[[threading.ExceptHookArgs], Any]

    def __call__(self, failed: threading.ExceptHookArgs) -> None:
        import grpc

        if not isinstance(failed.exc_value, grpc.RpcError):
            self.hook(failed)


def _of_no_lost_stream(record: logging.LogRecord) -> bool:
    import grpc

    return not (record.exc_info and isinstance(record.exc_info[1], grpc.RpcError))
