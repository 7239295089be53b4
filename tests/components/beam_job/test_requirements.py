"""What a runner lacks is told at once, before anything is started or fetched."""

import pytest

from components.beam_job import BeamSettings, pipeline
from components.beam_job.first_look import Environment
from schemas.error import VisageError

POOL = ("--environment_type=EXTERNAL", "--environment_config=workers:50000")


@pytest.fixture(autouse=True)
def no_server_is_asked(monkeypatch):
    """Whether a job server answers is another matter, and so is Google's metadata server."""
    monkeypatch.setattr("components.beam_job.job_server.see_that_it_answers", lambda endpoint: None)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


def missing(runner: str, *options: str, **settings: object) -> list[str]:
    """The lines of the one message, or none."""
    try:
        pipeline(BeamSettings.model_validate({"runner": runner, "options": options, **settings}))
    except VisageError as error:
        assert error.usage
        first, *needs = error.message.splitlines()
        assert first == f"beam.runner={runner} needs among beam.options:"
        return [need.removeprefix("- ") for need in needs]
    return []


def test_a_portable_job_needs_a_job_server_and_workers():
    server, workers = missing("portable")
    assert server.startswith("--job_endpoint=HOST:PORT")
    assert workers.startswith("--environment_type=EXTERNAL")
    assert missing("portable", "--job_endpoint=jobs:8099", *POOL) == []


@pytest.mark.parametrize(
    ("kind", "example"),
    [("DOCKER", "the image of infra/Dockerfile"), ("PROCESS", "the command"), ("EXTERNAL", "worker pool")],
)
def test_an_environment_that_is_not_whole_is_told(kind, example):
    (need,) = missing("portable", "--job_endpoint=jobs:8099", f"--environment_type={kind}")
    assert need.startswith(f"--environment_config for --environment_type={kind}: ") and example in need


def test_an_environment_may_be_told_in_either_of_the_ways_that_beam_has():
    image = "--environment_option=docker_container_image=visage"
    assert missing("portable", "--job_endpoint=jobs:8099", "--environment_type=DOCKER", image) == []
    assert missing("portable", "--job_endpoint=jobs:8099", "--environment_type=LOOPBACK") == []


@pytest.mark.parametrize("runner", ["flink", "spark"])
def test_flink_and_spark_take_a_job_server_that_runs_or_a_jar_that_is_here_and_fetch_none(runner, tmp_path):
    (server,) = missing(runner, *POOL)
    assert server.startswith("--job_endpoint=HOST:PORT") and f"--{runner}_job_server_jar=FILE" in server
    assert missing(runner, "--job_endpoint=jobs:8099", *POOL) == []

    jar = tmp_path / "job-server.jar"
    no_java = "--job_server_java_launcher=no-such-java"
    no_jar, java = missing(runner, f"--{runner}_job_server_jar={jar}", no_java, *POOL)
    assert f"there is no file {jar}, and none is fetched" in no_jar
    assert "there is no `no-such-java` on the PATH" in java
    jar.touch()
    assert missing(runner, f"--{runner}_job_server_jar={jar}", "--job_server_java_launcher=sh", *POOL) == []


def test_dataflow_needs_an_account_a_region_an_image_and_places_in_buckets():
    pytest.importorskip("google.auth")
    needs = missing("dataflow")
    assert [need.partition("=")[0].partition(" ")[0] for need in needs] == [
        "Google's",
        "--project",
        "--region",
        "--temp_location",
        "--sdk_container_image",
        "beam.staging",
    ]
    needs = missing("dataflow", "--project=p", "--temp_location=/tmp", staging="/shared")
    assert "--temp_location=gs://..., not /tmp" in needs
    assert any(need.startswith("beam.staging=gs://") for need in needs)


def test_the_number_of_workers_goes_where_each_runner_reads_it():
    def options(runner: str, *extra_options: str) -> dict:
        settings = BeamSettings(runner=runner, workers=3, options=("--job_endpoint=jobs:8099", *POOL, *extra_options))
        return pipeline(settings).options.get_all_options()

    assert options("portable")["sdk_worker_parallelism"] == "3"
    assert options("flink")["parallelism"] == 3
    assert options("flink", "--parallelism=5")["parallelism"] == 5


def test_a_job_may_take_longer_than_the_five_minutes_that_beam_lets_it():
    settings = BeamSettings(runner="portable", options=("--job_endpoint=jobs:8099", *POOL))
    assert pipeline(settings).options.get_all_options()["job_server_timeout"] > 30 * 86400


@pytest.mark.parametrize("runner", ["local", "flink"])
def test_an_option_with_a_value_that_is_none_is_one_message(runner, capfd):
    with pytest.raises(
        VisageError, match=r"beam.options cannot be read: argument --parallelism: invalid int value: 'many'"
    ) as raised:
        pipeline(BeamSettings(runner=runner, options=("--parallelism=many",)))
    assert raised.value.usage
    assert capfd.readouterr().err == ""


def test_environments_differ_by_code_and_by_versions_of_what_both_have():
    here = Environment("code", {"python": "3.11", "pillow": "12.3.0", "tensorflow": "2.16.2"})
    image = Environment("other", {"python": "3.13", "pillow": "12.3.0", "tensorflow-cpu": "2.16.2"})
    assert here.differences(image) == ["other code of Visage", "python 3.13 instead of 3.11"]
    assert here.differences(here) == []
