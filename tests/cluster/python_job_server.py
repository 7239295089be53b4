"""Beam's own job server in Python, with as many SDK workers as a job asks for; Prism has one a job, whatever is asked.

python -m tests.cluster.python_job_server PORT
"""

import sys
import threading

from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import FnApiRunner


class JobWithWorkers(local_job_service.BeamJob):
    """Runs on `--sdk_worker_parallelism` workers, each asked of the worker pool: a process of its own."""

    def _invoke_runner(self):
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        options = self.pipeline_options()
        runner = FnApiRunner(provision_info=self._provision_info)
        runner._num_workers = int(options.get_all_options()["sdk_worker_parallelism"])  # no option reaches it
        return runner.run_via_runner_api(self._pipeline_proto, options)


if __name__ == "__main__":
    port = int(sys.argv.pop())  # Beam takes what is left there for options
    local_job_service.LocalJobServicer(beam_job_type=JobWithWorkers).start_grpc_server(port)
    threading.Event().wait()
