"""The model registry: which versions exist, which one is champion, and where a version's files are."""

from components.registry.model_versions import (
    CHALLENGER,
    CHAMPION,
    PERSONS,
    REPLACED,
    ModelVersion,
    RegistrySettings,
    challenge,
    champion,
    download,
    find,
    names,
    persons,
    promote,
    resolve,
    rollback,
    versions,
)

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "PERSONS",
    "REPLACED",
    "ModelVersion",
    "RegistrySettings",
    "challenge",
    "champion",
    "download",
    "find",
    "names",
    "persons",
    "promote",
    "resolve",
    "rollback",
    "versions",
]
