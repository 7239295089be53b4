"""Whether the pods of a cluster can see the places that settings name."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath

from components.step.settings import marked_fields
from components.storage import names, remote
from pipeline.kubeflow.cluster_profile import ClusterProfile
from pipeline.recipe import RecipeSettings
from schemas.error import VisageError

_NO_PLACES = {"estimator.backbone.weights": ("none", "imagenet")}
"""Words that a setting may have in the place of a path."""


def demand_visible(settings: RecipeSettings, profile: ClusterProfile) -> None:
    """See that every pod can see every place: a URL of a store, or an absolute path in a volume or in the image.

    Raises:
        VisageError: one is none of these; the message says what to do.
    """
    for key, place in _places(settings, profile):
        if names.is_remote(place):
            protocol = place.partition("://")[0].lower()
            if protocol not in remote.STORES or protocol == "memory":
                raise _refused(key, place, f"no step reads {protocol}://")
            continue
        try:
            path = names.local(place)
        except ValueError as error:
            raise _refused(key, place, str(error)) from error
        if not path.startswith("/"):
            raise _refused(key, place, "a relative path means another folder in a pod")
        if not any(PurePosixPath(normpath(path)).is_relative_to(folder) for folder in _folders(profile)):
            seen = ", ".join(_folders(profile)) or "none is mounted"
            raise _refused(key, place, f"no volume that the pods mount holds it ({seen})")


def _folders(profile: ClusterProfile) -> list[str]:
    return [*(volume.mount for volume in profile.volumes), *profile.image_folders]


def _places(settings: RecipeSettings, profile: ClusterProfile) -> Iterator[tuple[str, str]]:
    """Every place outside that a step of these settings uses, with the setting that names it."""
    for key, value in marked_fields(settings, "external").items():
        for place in [value] if isinstance(value, str | Path) else list(value or ()):
            if str(place) and str(place) not in _NO_PLACES.get(key, ()):
                yield key, str(place)
    if settings.beam.staging:
        yield "beam.staging", settings.beam.staging
    if profile.artifact_store:
        yield "artifact_store of the cluster profile", profile.artifact_store


def _refused(key: str, place: str, why: str) -> VisageError:
    return VisageError(
        f"No pod of the cluster can see {key}, {place}: {why}.",
        "Give the URL of a bucket, such as s3://photos/imdb_crop, or mount the volume that holds it: in the cluster profile "
        "(--cluster FILE), `volumes: [{claim: photos, mount: /data}]`, and the path from /data on. What is in the image itself "
        "is named under image_folders.",
        usage=True,
    )
