"""Where the workers of a job pass files on to each other and to the driver: the one thing that all of them share."""

from pathlib import Path

from components.beam_job.settings import BeamSettings
from components.storage import names
from schemas.error import VisageError


def staging_place(settings: BeamSettings, output: Path, job: str) -> str:
    """The folder or URL of a job's own under `beam.staging`; beside the output where that is not set.

    All that is read or written there goes through `components.storage.files`.

    Args:
        settings: of the job.
        output: folder of the artifact in the making.
        job: name of the job, the same when it is started again: the step and its artifact's fingerprint.

    Raises:
        VisageError: it is a `file://` of another machine.
    """
    if not settings.staging:
        return str(output.absolute() / "staging")
    try:
        return names.joined(names.absolute(settings.staging), job)
    except ValueError as error:
        raise VisageError(f"{error} (beam.staging).", usage=True) from error
