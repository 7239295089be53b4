"""The model registry: which versions exist, which one is champion, and where a version's files are.

The registry is MLflow's, at MLFLOW_TRACKING_URI. Two aliases say what a version is for: `champion` is the one that scores,
`challenger` the newest one that was not blessed.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from pydantic import Field

from components.registry import history
from components.registry.mlflow_server import client, explaining_mlflow_errors, where
from components.step.settings import Section
from schemas.error import VisageError

CHAMPION = "champion"
CHALLENGER = "challenger"
BEST = "visage.best."
"""Tag of a version, before the name of a figure: the number of the version that is the best in it of all that were blessed when
this one was registered; `self` if it is this one, empty if none is."""
BLESSED = "visage.blessed"
"""Tag of a version: `true` if evaluate found nothing that speaks against it, else `false`."""
REPLACED = "champion_before"
"""Tag of a champion from before there was `history`: the version that was champion before it."""

PERSONS = "persons.parquet"
"""File of the run that registered a version: the persons of its data, see `persons`."""


class RegistrySettings(Section):
    """Where models are registered."""

    name: str = Field(
        "visage",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="name of the registered model, its versions and aliases",
    )


@dataclass(frozen=True)
class ModelVersion:
    """One registered version.

    Attributes:
        name: of the registered model.
        version: its number, as text.
        aliases: that point at it, sorted.
        run_id: of the MLflow run that registered it.
        model_id: of MLflow's logged model behind it; empty for a version that was registered without one.
        tags: lineage and figures, as text.
        description: for people.
        created: UTC, ISO 8601.
    """

    name: str
    version: str
    aliases: tuple[str, ...] = ()
    run_id: str = ""
    model_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    created: str = ""

    @property
    def objection(self) -> str:
        """Why it should not become champion without a person's reason: it is not blessed; empty where it is."""
        blessed = self.tags.get(BLESSED) or ("true" if self.tags.get("visage.decided") == CHAMPION else "")
        if blessed == "true":
            return ""
        why = self.tags.get("visage.decided", "")
        return f"it is not blessed: {why}" if why and blessed else "it is not known to be blessed"

    @property
    def uri(self) -> str:
        """What MLflow loads it by."""
        return f"models:/{self.name}/{self.version}"

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def names() -> list[str]:
    """Names of all registered models."""
    with explaining_mlflow_errors():
        return sorted(model.name for model in _all_pages(client().search_registered_models))


def versions(name: str) -> list[ModelVersion]:
    """All versions of a model, newest first.

    Raises:
        VisageError: no such model, or the registry does not answer.
    """
    with explaining_mlflow_errors():
        aliases = _aliases(name)
        entries = _all_pages(client().search_model_versions, filter_string=f"name='{name}'")
        return sorted((_version(entry, aliases) for entry in entries), key=lambda version: -int(version.version))


def resolve(reference: str) -> ModelVersion:
    """The version that `NAME@ALIAS`, `NAME/3` or `NAME` (its champion) means at this moment.

    Raises:
        VisageError: not such a reference, no such model, alias or version (naming those that exist), or the registry does
            not answer.
    """
    match = _REFERENCE.fullmatch(reference.strip())
    if not match:
        raise VisageError(
            f"{reference!r} names no model version.",
            f"Write NAME@ALIAS or NAME/VERSION, for instance visage@{CHAMPION} or visage/3.",
            usage=True,
        )
    name, version = match["name"], match["version"]
    alias = None if version else match["alias"] or CHAMPION
    with explaining_mlflow_errors():
        aliases = _aliases(name)
        if alias:
            version = aliases.get(alias)
            if version is None:
                existing = ", ".join(f"{name}@{existing_alias}" for existing_alias in sorted(aliases)) or "none"
                raise VisageError(
                    f"The model {name} has no alias {alias!r}; aliases that exist: {existing}.",
                    f"`visage models list` shows the versions, `visage models promote {name}/VERSION` makes one champion.",
                )
        model_version = _get(name, str(version), aliases)
        if model_version is None:
            existing = ", ".join(entry.version for entry in versions(name)[:10]) or "none"
            raise VisageError(f"The model {name} has no version {version}; the newest that exist: {existing}.")
        return model_version


def champion(name: str) -> ModelVersion | None:
    """The version that scores now; None where there is none yet, or no such model.

    Raises:
        VisageError: the registry does not answer.
    """
    with explaining_mlflow_errors():
        aliases = _aliases(name, missing_ok=True)
        return _get(name, aliases[CHAMPION], aliases) if CHAMPION in aliases else None


def promote(reference: str, why: str = "", instead_of: str | None = None) -> ModelVersion:
    """Make a version champion; `history` tells of it, and `rollback` takes it back.

    Args:
        reference: as for `resolve`.
        why: for people.
        instead_of: the version that must be champion until then, empty for none: where another one is, nothing changes.

    Raises:
        VisageError: as `resolve`.
    """
    version = resolve(reference)
    with explaining_mlflow_errors():
        history.adopt(client(), version.name, CHAMPION, _champions_before(version.name))
        entry = history.Entry("", history.PROMOTED, version.version, instead_of=instead_of, why=why)
        entry = history.append(client(), version.name, entry)
        history.settle(client(), version.name, CHAMPION, entry, _numbers(version.name))
        promoted = resolve(str(version))
        if CHALLENGER in promoted.aliases and CHAMPION in promoted.aliases:
            client().delete_registered_model_alias(version.name, CHALLENGER)
    return resolve(str(version))


def challenge(version: ModelVersion) -> ModelVersion:
    """Make a version the challenger."""
    with explaining_mlflow_errors():
        client().set_registered_model_alias(version.name, CHALLENGER, version.version)
    return resolve(f"{version.name}/{version.version}")


def rollback(name: str, why: str = "") -> ModelVersion:
    """Make the version champion that was it before the present one; again, the one before that.

    Raises:
        VisageError: there is no champion, or none was before it; the registry does not answer.
    """
    present = resolve(f"{name}@{CHAMPION}")
    with explaining_mlflow_errors():
        history.adopt(client(), name, CHAMPION, _champions_before(name))
        existing = _numbers(name)
        stack = history.champions(history.entries(client().get_registered_model(name).tags))
        before = enumerate(reversed(stack))
        earlier = [(steps, version) for steps, version in before if version in existing and version != stack[-1]]
        if earlier:
            steps, version = earlier[0]
            entry = history.Entry("", history.ROLLED_BACK, version, steps, why=why)
            history.settle(client(), name, CHAMPION, history.append(client(), name, entry), existing)
            return resolve(f"{name}@{CHAMPION}")
    raise VisageError(
        f"No version of {name} was champion before version {present.version}.",
        f"Choose one with `visage models list` and `visage models promote {name}/VERSION`.",
    )


def champions(name: str) -> list[history.Entry]:
    """Who was made champion when, by whom and why, the first one first.

    Raises:
        VisageError: no such model, or the registry does not answer.
    """
    with explaining_mlflow_errors():
        _aliases(name)  # raises where there is no such model
        return history.entries(client().get_registered_model(name).tags)


def find(name: str, tag: str, value: str) -> ModelVersion | None:
    """The newest version that carries a tag with this value; None where there is none, or no such model."""
    with explaining_mlflow_errors():
        aliases = _aliases(name, missing_ok=True)
        entries = _all_pages(client().search_model_versions, filter_string=f"name='{name}' AND tags.`{tag}`='{value}'")
        return max(
            (_version(entry, aliases) for entry in entries), key=lambda version: int(version.version), default=None
        )


def delete_doubles(version: ModelVersion, tag: str) -> None:
    """Delete the other versions that carry this one's value of a tag.

    A server that is killed may have made a version whose answer was lost, and MLflow's client asked again.

    Raises:
        VisageError: the registry does not answer.
    """
    query = f"name='{version.name}' AND tags.`{tag}`='{version.tags[tag]}'"
    with explaining_mlflow_errors():
        for entry in _all_pages(client().search_model_versions, filter_string=query):
            if str(entry.version) != version.version:
                client().delete_model_version(version.name, str(entry.version))


def download(version: ModelVersion) -> Path:
    """The folder with a version's files: `estimator/`, `photo.json`, `statistics/train.pb`, `learned_from.npy`, `card.md`.

    Files in a local artifact store are used where they are; others are fetched once into a cache (VISAGE_CACHE, by default
    `~/.cache/visage`).

    Raises:
        VisageError: the registry or its artifact store does not answer, or the version is no model of Visage.
    """
    with explaining_mlflow_errors():
        location = client().get_model_version_download_uri(version.name, version.version)
        parsed = urlparse(location)
        local = parsed.scheme in ("", "file")
        model = Path(unquote(parsed.path)) if local else _fetched(version, location)
    files = model / "artifacts"
    if not (files / "estimator").is_dir() or not (files / "photo.json").is_file():
        raise VisageError(
            f"Version {version} cannot be used: {model} holds no estimator/ and photo.json.",
            "Its files were deleted, or it was not registered by Visage. Register it anew, or name another version.",
        )
    return files


def persons(version: ModelVersion) -> Any:
    """The persons of the data that a version was made from: a pyarrow Table of person, split and number of examples.

    Raises:
        VisageError: the registry does not answer, or the run that registered the version has no such list.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    from schemas.arrow_files import parquet

    with explaining_mlflow_errors(), tempfile.TemporaryDirectory() as folder:
        try:
            listed = [entry.path for entry in client().list_artifacts(version.run_id)]
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            listed = []
        if PERSONS not in listed:
            raise VisageError(
                f"The run that registered {version} holds no {PERSONS}: it was deleted, or is of an older Visage.",
                f"The ingest artifact {version.tags.get('visage.data_fingerprint', '')} has them in its examples.parquet.",
            )
        file = mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path=PERSONS, dst_path=folder)
        return parquet.read_table(file)


_REFERENCE = re.compile(r"(?:models:/)?(?P<name>[^@/:]+)(?:@(?P<alias>[\w-]+)|/(?P<version>\d+))?")


def _aliases(name: str, *, missing_ok: bool = False) -> dict[str, str]:
    """Version by alias. MLflow's search leaves the aliases out, so they come from the model itself (mlflow issue 9783)."""
    from mlflow.exceptions import MlflowException

    try:
        return {alias: str(version) for alias, version in client().get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        if missing_ok:
            return {}
        existing = ", ".join(names()) or "none yet"
        raise VisageError(
            f"There is no registered model {name!r} at {where()}; models that exist: {existing}.",
            "`visage run` registers one; MLFLOW_TRACKING_URI names another registry.",
        ) from error


def _champions_before(name: str) -> list[str]:
    """The champions before the present one, the last one first, as far as versions remember: none where there is `history`."""
    model = client().get_registered_model(name)
    earlier: list[str] = []
    if history.entries(model.tags):
        return earlier
    version = model.aliases.get(CHAMPION)
    while version and version not in earlier:
        earlier.append(str(version))
        model_version = _get(name, str(version), {})
        version = model_version.tags.get(REPLACED) if model_version else None
    return earlier[1:]


def _numbers(name: str) -> list[str]:
    entries = _all_pages(client().search_model_versions, filter_string=f"name='{name}'")
    return [str(entry.version) for entry in entries]


def _get(name: str, version: str, aliases: Mapping[str, str]) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return _version(client().get_model_version(name, version), aliases)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _version(entry: Any, aliases: Mapping[str, str]) -> ModelVersion:
    # MLflow's SQL store does not fill in model_id; the source of a logged model's version says the same.
    logged = re.fullmatch(r"models:/(m-[0-9a-f]+)", entry.source or "")
    return ModelVersion(
        name=entry.name,
        version=str(entry.version),
        aliases=tuple(sorted(alias for alias, version in aliases.items() if version == str(entry.version))),
        run_id=entry.run_id or "",
        model_id=logged[1] if logged else "",
        tags=dict(entry.tags),
        description=entry.description or "",
        created=datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
    )


def _all_pages(search: Any, **arguments: Any) -> list[Any]:
    entries, token = [], None
    while True:
        page = search(page_token=token, **arguments)
        entries += page
        token = page.token
        if not token:
            return entries


def _fetched(version: ModelVersion, location: str) -> Path:
    """A remote version's files in the cache; whole, or not there."""
    import mlflow

    home = os.environ.get("VISAGE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "visage"
    identity = "\n".join([where(), version.name, version.version, version.created, location])
    final = Path(home) / "models" / hashlib.sha256(identity.encode()).hexdigest()[:24]
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=final.parent))
    try:
        downloaded = mlflow.artifacts.download_artifacts(artifact_uri=version.uri, dst_path=str(partial))
        try:
            Path(downloaded).rename(final)
        except OSError:
            if not final.is_dir():  # else another process was faster with the same files
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final
