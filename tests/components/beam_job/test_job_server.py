"""Jobs on a job server: Beam's own, in Python, in a process of its own; its workers are this process."""

import io
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import apache_beam as beam
import pytest

from components.beam_job import BeamSettings, errors_reach_driver, job_server, pipeline, run
from schemas.error import VisageError
from tests.cluster.go_servers import free_port, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", f"-p={port}"]
    with serving(command, port, tmp_path_factory.mktemp("server") / "log", within=500) as server:
        yield server


@pytest.fixture
def job(server):
    options = (f"--job_endpoint={server.address}", "--environment_type=LOOPBACK")
    return pipeline(BeamSettings(runner="portable", options=options))


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(job_server, "ANSWERS_WITHIN", 1)
    monkeypatch.setattr(job_server, "ASKED_EVERY", 0.2)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests were started in the background and inherited that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def logged():
    """What the command would log on standard error."""
    lines = io.StringIO()
    before, logging.root.handlers = logging.root.handlers, [logging.StreamHandler(lines)]
    yield lines
    logging.root.handlers = before


def test_a_job_runs_to_its_end(job, tmp_path):
    _ = job | beam.Create([3]) | beam.Map(lambda number: (tmp_path / "done").write_text(str(number)))
    run(job)
    assert (tmp_path / "done").read_text() == "3"


def test_a_job_server_that_is_not_there_is_one_message(impatient):
    nowhere = f"--job_endpoint=localhost:{free_port()}"
    with pytest.raises(VisageError, match=r"The job server at localhost:.* does not answer"):
        pipeline(BeamSettings(runner="portable", options=(nowhere, "--environment_type=LOOPBACK")))


def test_an_error_for_people_comes_back_whole_and_nothing_else_is_said(job, caplog, capfd):
    def fail(_):
        with errors_reach_driver("/x"):
            raise VisageError("no photos", "look elsewhere", usage=True)

    _ = job | beam.Create([1]) | beam.Map(fail)
    with caplog.at_level("INFO"), pytest.raises(VisageError) as raised:
        run(job)
    assert (raised.value.message, raised.value.hint, raised.value.usage) == ("no photos", "look elsewhere", True)
    records = [record for record in caplog.records if record.module == "portable_runner"]
    assert not [record for record in records if record.name == "root"]


def test_a_programming_error_is_one_message_too_with_all_of_it_behind(job):
    _ = job | beam.Create([0]) | "photos" >> beam.Map(lambda number: 1 / number)
    with pytest.raises(
        VisageError, match=r"A worker failed in 'photos': ZeroDivisionError: division by zero\n"
    ) as raised:
        run(job)
    assert "Traceback" in str(raised.value.__cause__)


def test_a_job_server_that_hangs_in_the_middle_of_a_job_is_one_message(job, server, impatient):
    working, may_end = threading.Event(), threading.Event()
    globals()["_work"] = partial(_wait, working, may_end)
    _ = job | beam.Create([0]) | beam.Map(_call_work)
    stopping = threading.Thread(target=_kill, args=(server.process, signal.SIGSTOP, working))
    stopping.start()
    try:
        with pytest.raises(VisageError, match="does not answer"):
            run(job)
    finally:
        may_end.set()
        stopping.join()
        server.process.send_signal(signal.SIGCONT)


def test_stopping_the_driver_cancels_the_job(job, monkeypatch):
    cancelled, working, may_end = threading.Event(), threading.Event(), threading.Event()
    result_of = type(job.runner).run_pipeline

    def run_pipeline(*arguments):
        result = result_of(*arguments)
        wait_until_finish = result.wait_until_finish

        def stopped_meanwhile():
            working.wait(300)
            main_thread = threading.main_thread().ident
            assert main_thread
            signal.pthread_kill(main_thread, signal.SIGINT)
            return wait_until_finish()

        result.cancel, result.wait_until_finish = cancelled.set, stopped_meanwhile
        return result

    monkeypatch.setattr(type(job.runner), "run_pipeline", run_pipeline)
    globals()["_work"] = partial(_wait, working, may_end)
    _ = job | beam.Create([0]) | beam.Map(_call_work)
    with interruptible(), pytest.raises(KeyboardInterrupt):
        run(job)
    may_end.set()
    assert cancelled.is_set()


def test_a_job_server_that_goes_in_the_middle_of_a_job_is_one_message(job, server, logged, capfd):
    working, may_end = threading.Event(), threading.Event()
    globals()["_work"] = partial(_wait, working, may_end)
    _ = job | beam.Create([0]) | beam.Map(_call_work)
    killing = threading.Thread(target=_kill, args=(server.process, signal.SIGKILL, working))
    killing.start()
    with pytest.raises(VisageError, match=r"has gone in the middle of the job|does not answer"):
        run(job)
    may_end.set()
    killing.join()
    time.sleep(1)  # the threads of the lost streams may notice after the job has been given up
    assert "Traceback" not in logged.getvalue() + capfd.readouterr().err


def _kill(process: subprocess.Popen, number: int, happened: threading.Event) -> None:
    happened.wait(300)
    process.send_signal(number)


def _wait(working: threading.Event, may_end: threading.Event) -> None:
    working.set()
    may_end.wait(300)


def _call_work(_: int) -> None:
    globals()["_work"]()  # what holds events cannot be pickled, so it is found by name
