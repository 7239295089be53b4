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


@pytest.mark.parametrize("text", [TRACEBACK, JAVA], ids=["Prism", "Flink"])
def test_a_programming_error_is_its_last_line_with_the_stage_and_the_place_in_our_code(text):
    told = explanation(text)
    assert told
    assert told.message == (
        "A worker failed in 'photos' at components/ingest/job.py:97: ZeroDivisionError: division by zero"
    )
    assert "--debug" in told.hint


def test_a_message_for_people_survives_whatever_a_runner_does_to_its_lines():
    error = VisageError('no "photos"\nin [ärger]', "look elsewhere", usage=True)
    text = TRACEBACK.replace("division by zero", _marked(error)).replace("\n", "\\n")
    told = explanation(text)
    assert told
    assert (told.message, told.hint, told.usage) == (error.message, error.hint, True)


def test_a_marked_error_can_be_read_by_people_in_a_runners_own_log():
    assert _marked(VisageError("No photos.", "Look.")).startswith("No photos. ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bundle failed:SDK worker disconnected: worker[job-005], 2 active instructions", "A worker has ended"),
        ("prism worker[x] didn't get control connection to localhost:1 after 1m0s", "no worker that takes the job"),
        (
            TRACEBACK.replace(
                "ZeroDivisionError: division by zero", "ModuleNotFoundError: No module named 'components'"
            ),
            "have no Visage",
        ),
    ],
)
def test_what_befell_the_workers_themselves_is_told_in_words(text, said):
    told = explanation(text)
    assert told and said in told.message


def test_what_is_no_workers_error_is_left_as_it_is():
    assert explanation("the quota of the project is used up") is None
