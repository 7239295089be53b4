"""Pipelines on the runner of the settings, and errors that find their way back."""

import errno
import logging
import threading

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics

from components.beam_job import BeamSettings, errors_reach_driver, pipeline, run
from components.beam_job.counters import counters
from components.step import Step
from components.step.identity import of_step
from components.step.settings import Section
from schemas.error import VisageError


class Everything(Section):
    beam: BeamSettings = BeamSettings()


def test_the_local_runner_works_with_as_many_threads_as_asked_for(tmp_path):
    meeting = threading.Barrier(3, timeout=300)

    def meet(number: int) -> int:
        meeting.wait()  # nobody passes before three threads are here
        return number

    job = pipeline(BeamSettings(workers=3))
    globals()["_meet"] = meet  # a barrier cannot be pickled, so it is found by name
    met = job | beam.Create(range(3)) | beam.Reshuffle() | beam.Map(_call_meet)
    met | beam.combiners.ToList() | beam.Map(_write, str(tmp_path / "met"))
    run(job)
    assert (tmp_path / "met").read_text() == "[0, 1, 2]"


def test_a_stage_does_not_wait_long_for_the_thread_that_samples_it():
    from apache_beam.runners.worker.statesampler import StateSampler
    from apache_beam.utils.counters import CounterFactory

    pipeline(BeamSettings())
    assert StateSampler("stage", CounterFactory()).sampling_period_ms == 20


def _call_meet(number: int) -> int:
    return globals()["_meet"](number)


def _write(values: list[int], path: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(str(sorted(values)))


def fail(error: Exception) -> None:
    def raise_it(_: int) -> None:
        with errors_reach_driver("/some/folder"):
            raise error

    job = pipeline(BeamSettings(workers=1))
    _ = job | beam.Create([1]) | beam.Map(raise_it)
    run(job)


def test_an_error_for_people_comes_back_whole_and_without_a_traceback_before_it(caplog):
    with caplog.at_level(logging.INFO), pytest.raises(VisageError) as raised:
        fail(VisageError('no "photos"\nhere [1]', "look elsewhere", usage=True))
    assert raised.value.message == 'no "photos"\nhere [1]'
    assert (raised.value.hint, raised.value.usage) == ("look elsewhere", True)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(("code", "reason"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only")])
def test_a_disk_that_cannot_be_written_to_is_named(code, reason):
    import os

    with pytest.raises(VisageError, match=f"/some/folder cannot be written to: {reason}"):
        fail(OSError(code, os.strerror(code)))


def test_a_programming_error_stays_one():
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError("x"))


def test_runner_and_workers_are_no_part_of_what_comes_out():
    step = Step("ingest", "", Everything, (), lambda settings, context: {})
    one = Everything(beam=BeamSettings(workers=1))
    other = Everything(beam=BeamSettings(workers=7, runner="flink", options=("--flink_master=x",)))
    assert of_step(step, one, {}).digest == of_step(step, other, {}).digest


def test_counters_are_told_by_a_runner_that_keeps_them():
    def count(number: int) -> None:
        Metrics.counter("here", "numbers").inc()
        Metrics.counter("elsewhere", "numbers").inc()
        Metrics.distribution("here", "size").update(number)

    job = pipeline(BeamSettings(workers=2))
    _ = job | beam.Create([3, 5, 10]) | beam.Reshuffle() | beam.Map(count)
    assert counters(run(job), "here") == {"numbers": 3, "size": {"count": 3, "sum": 18, "min": 3, "max": 10}}


def test_a_runner_without_counters_tells_none():
    from apache_beam.runners.runner import PipelineResult, PipelineState

    assert counters(PipelineResult(PipelineState.DONE), "here") == {}
