"""What runners say of a worker's error, and the one message that is made of it."""

import pytest

from components.beam_job.errors import _marked, explanation
from schemas.error import VisageError

TRACEBACK = """\
Pipeline job-001 failed in state FAILED: bundle inst002 stage-005 failed:Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1498, in apache_beam.runners.common.DoFnRunner.process
  File "/opt/visage/components/ingest/job.py", line 97, in process
    1 / 0
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/venv/lib/python3.11/site-packages/apache_beam/runners/worker/sdk_worker.py", line 316, in _execute
    response = task()
               ^^^^^^
ZeroDivisionError: division by zero [while running 'photos-ptransform-27']
"""
"""As Prism says it, shortened; Flink has it within a Java trace."""

JAVA = f"""\
ExecutionException: java.lang.RuntimeException: Error received from SDK harness for instruction 5: {TRACEBACK}
\tat java.base/java.util.concurrent.CompletableFuture.reportGet(CompletableFuture.java:395)
\tat org.apache.beam.runners.fnexecution.control.SdkHarnessClient$BundleProcessor.close(SdkHarnessClient.java:1)
Caused by: java.lang.RuntimeException: Error received from SDK harness
"""


PANIC = """\
Pipeline job-001 failed in state FAILED: panic in stage.Execute bundle processing goroutine: send on closed channel, \
stage: stage-003 [e4_photos] {id: stage-003},stackTrace:
goroutine 81 [running]:
runtime/debug.Stack()
\t/usr/local/go/src/runtime/debug/stack.go:26 +0x5e
panic({0x17a8a40?, 0x1b7f4e0?})
\t/usr/local/go/src/runtime/panic.go:860 +0x13a
github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism/internal/worker.(*B).ProcessOn(0x1, {0x2, 0x3}, 0x4)
\t/root/go/pkg/mod/github.com/apache/beam/sdks/v2@v2.74.0/go/pkg/beam/runners/prism/internal/worker/bundle.go:137 +0x2b3
created by golang.org/x/sync/errgroup.(*Group).Go in goroutine 28
\t/root/go/pkg/mod/golang.org/x/sync@v0.20.0/errgroup/errgroup.go:78 +0x95
"""
"""As Prism says it that was about to send a bundle to a worker that had just ended, shortened."""


@pytest.mark.parametrize("text", [TRACEBACK, JAVA], ids=["Prism", "Flink"])
def test_a_programming_error_is_its_last_line_with_the_stage_and_the_place_in_our_code(text):
    explained = explanation(text)
    assert explained
    assert explained.message == (
        "A worker failed in 'photos' at components/ingest/job.py:97: ZeroDivisionError: division by zero"
    )
    assert "--debug" in explained.hint


def test_a_message_for_people_survives_whatever_a_runner_does_to_its_lines():
    error = VisageError('no "photos"\nin [ärger]', "look elsewhere", usage=True)
    text = TRACEBACK.replace("division by zero", _marked(error)).replace("\n", "\\n")
    explained = explanation(text)
    assert explained
    assert (explained.message, explained.hint, explained.usage) == (error.message, error.hint, True)


def test_a_marked_error_can_be_read_by_people_in_a_runners_own_log():
    assert _marked(VisageError("No photos.", "Look.")).startswith("No photos. ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bundle failed:SDK worker disconnected: worker[job-005], 2 active instructions", "A worker has ended"),
        (PANIC, "A worker has ended"),
        ("prism worker[x] didn't get control connection to localhost:1 after 1m0s", "no worker that takes the job"),
        (
            TRACEBACK.replace(
                "ZeroDivisionError: division by zero", "ModuleNotFoundError: No module named 'components'"
            ),
            "have no Visage",
        ),
    ],
)
def test_what_befell_the_workers_themselves_is_told_in_words(text, message):
    explained = explanation(text)
    assert explained and message in explained.message


@pytest.mark.parametrize(
    "text",
    [
        PANIC.replace("send on closed channel", "index out of range"),
        "Pipeline job-001 failed in state FAILED: pipeline panicked: index out of range\nStacktrace: goroutine 5 [running]:",
    ],
)
def test_a_fault_of_the_runner_is_its_reason_without_its_stack(text):
    explained = explanation(text)
    assert explained
    assert explained.message == "The runner itself failed: index out of range"


def test_what_is_no_workers_error_is_left_as_it_is():
    assert explanation("the quota of the project is used up") is None
