"""What each runner needs of its options and of this machine: all that is missing is told at once, before a job starts.

Beam itself would fetch a jar or an image where an option is missing, minutes into a job and from machines that often have
no network. Nothing is fetched here: what a runner needs is named, or there already.
"""

import io
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.beam_job.settings import BeamSettings
from components.storage.names import is_remote
from schemas.error import VisageError

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

READ_MORE = "components/beam_job/README.md has whole commands for every runner."


def check(settings: BeamSettings, options: "PipelineOptions") -> None:
    """See that a runner has what it needs.

    Args:
        settings: with the runner's name.
        options: `settings.options` as Beam has them.

    Raises:
        VisageError: one or more things are missing, or an option has a value that Beam does not take.
    """
    with io.StringIO() as stderr:
        try:
            with redirect_stderr(stderr):
                values = options.get_all_options()
        except SystemExit as error:  # as of any command line that argparse reads
            why = stderr.getvalue().strip().rpartition("error: ")[2]
            raise VisageError(f"beam.options cannot be read: {why}.", READ_MORE, usage=True) from error
    missing = list(_MISSING[settings.runner](settings, values))
    if missing:
        listed = "".join(f"\n- {need}" for need in missing)
        raise VisageError(f"beam.runner={settings.runner} needs among beam.options:{listed}", READ_MORE, usage=True)


def _nothing(settings: BeamSettings, options: dict[str, Any]) -> Iterator[str]:
    yield from ()


def _portable(settings: BeamSettings, options: dict[str, Any]) -> Iterator[str]:
    if not options["job_endpoint"]:
        yield "--job_endpoint=HOST:PORT, the job server's address"
    yield from _environment(options)


def _flink(settings: BeamSettings, options: dict[str, Any]) -> Iterator[str]:
    yield from _job_server("flink", options)
    yield from _environment(options)


def _spark(settings: BeamSettings, options: dict[str, Any]) -> Iterator[str]:
    yield from _job_server("spark", options)
    yield from _environment(options)


def _job_server(name: str, options: dict[str, Any]) -> Iterator[str]:
    """Either a job server that runs already, or a jar of one with a Java to run it."""
    if options["job_endpoint"]:
        return
    option = f"{name}_job_server_jar"
    jar = options[option]
    if not jar:
        yield (
            f"--job_endpoint=HOST:PORT of a job server that runs already, for instance as the container "
            f"apache/beam_{name}_job_server; or --{option}=FILE with a Java here"
        )
        return
    if not Path(jar).is_file():
        yield f"--{option}=FILE, a jar that is here: there is no file {jar}, and none is fetched"
    java = options["job_server_java_launcher"]
    if not shutil.which(java):
        yield f"a Java to run that jar: there is no `{java}` on the PATH (--job_server_java_launcher names another)"


_CONFIGURED = {"DOCKER": "docker_container_image", "PROCESS": "process_command", "EXTERNAL": "external_service_address"}
"""What environments of a kind have to name, as --environment_option; --environment_config says the same."""

_EXAMPLES = {
    "DOCKER": "the image of infra/Dockerfile",
    "PROCESS": "the command that starts a worker",
    "EXTERNAL": "HOST:PORT of a worker pool",
}


def _environment(options: dict[str, Any]) -> Iterator[str]:
    """Where workers come from. Without an option Beam takes its own image from Docker Hub, which has no Visage."""
    kind = (options["environment_type"] or "").upper()
    if not kind:
        yield (
            "--environment_type=EXTERNAL with --environment_config=HOST:PORT of a worker pool, or --environment_type=DOCKER "
            "with --environment_config=IMAGE, the image of infra/Dockerfile"
        )
    elif kind in _CONFIGURED:
        configured = [option for option in options["environment_options"] or () if option.startswith(_CONFIGURED[kind])]
        if not options["environment_config"] and not configured:
            yield f"--environment_config for --environment_type={kind}: {_EXAMPLES[kind]}"


def _dataflow(settings: BeamSettings, options: dict[str, Any]) -> Iterator[str]:
    yield from _google()
    for option, need in {
        "project": "--project=NAME, who pays",
        "region": "--region=NAME, where it runs, as europe-west4",
        "temp_location": "--temp_location=gs://BUCKET/FOLDER, for what Dataflow itself stages",
        "sdk_container_image": "--sdk_container_image=IMAGE, the image of infra/Dockerfile in a registry that Dataflow reads",
    }.items():
        if not options[option]:
            yield need
    if options["temp_location"] and not options["temp_location"].startswith("gs://"):
        yield f"--temp_location=gs://..., not {options['temp_location']}"
    if not is_remote(settings.staging):
        yield "beam.staging=gs://BUCKET/FOLDER beside them, a place that Dataflow's workers reach as well"


def _google() -> Iterator[str]:
    try:
        import google.auth
        from apache_beam.runners.dataflow.internal import apiclient  # noqa: F401
    except ImportError:
        yield "Google's clients here: install the extra [cloud]"
        return
    try:
        google.auth.default()
    except google.auth.exceptions.DefaultCredentialsError:
        yield "Google's credentials here: GOOGLE_APPLICATION_CREDENTIALS, or `gcloud auth application-default login`"


_MISSING = {"local": _nothing, "portable": _portable, "flink": _flink, "spark": _spark, "dataflow": _dataflow}
