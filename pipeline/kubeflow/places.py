"""Whether the pods of a cluster can see the places that settings name."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath

from components.step.settings import marked_fields
from components.storage import names, remote
from pipeline.kubeflow.cluster_profile import ClusterProfile
from pipeline.recipe import RecipeSettings
from schemas.error import VisageError

_NOT_PATHS = {"estimator.backbone.weights": ("none", "imagenet")}
"""Words that a setting may have in the place of a path."""


def demand_visible(settings: RecipeSettings, profile: ClusterProfile) -> None:
    """See that every pod can see every place: a URL of a store, or an absolute path in a volume or in the image.

    Raises:
        VisageError: one is none of these; the message says what to do.
    """
    for key, location in _locations(settings, profile):
        if names.is_remote(location):
            protocol = location.partition("://")[0].lower()
            if protocol not in remote.STORES or protocol == "memory":
                raise _invisible(key, location, f"no step reads {protocol}://")
            continue
        try:
            path = names.local(location)
        except ValueError as error:
            raise _invisible(key, location, str(error)) from error
        if not path.startswith("/"):
            raise _invisible(key, location, "a relative path means another folder in a pod")
        if not any(PurePosixPath(normpath(path)).is_relative_to(folder) for folder in _folders(profile)):
            mounted = ", ".join(_folders(profile)) or "none is mounted"
            raise _invisible(key, location, f"no volume that the pods mount holds it ({mounted})")


def _folders(profile: ClusterProfile) -> list[str]:
    return [*(volume.mount for volume in profile.volumes), *profile.image_folders]


def _locations(settings: RecipeSettings, profile: ClusterProfile) -> Iterator[tuple[str, str]]:
    """Every place outside that a step of these settings uses, with the setting that names it."""
    for key, value in marked_fields(settings, "external").items():
        for location in [value] if isinstance(value, str | Path) else list(value or ()):
            if str(location) and str(location) not in _NOT_PATHS.get(key, ()):
                yield key, str(location)
    if settings.beam.staging:
        yield "beam.staging", settings.beam.staging
    if profile.artifact_store:
        yield "artifact_store of the cluster profile", profile.artifact_store


def _invisible(key: str, location: str, why: str) -> VisageError:
    return VisageError(
        f"No pod of the cluster can see {key}, {location}: {why}.",
        "Give the URL of a bucket, such as s3://photos/imdb_crop, or mount the volume that holds it: in the cluster profile "
        "(--cluster FILE), `volumes: [{claim: photos, mount: /data}]`, and the path from /data on. What is in the image itself "
        "is named under image_folders.",
        usage=True,
    )
