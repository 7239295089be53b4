"""The model registry: which versions exist, which one is champion, and where a version's files are."""

from components.registry.model_versions import (
    BEST,
    CHALLENGER,
    CHAMPION,
    ModelVersion,
    RegistrySettings,
    challenge,
    champion,
    champions,
    download,
    find,
    names,
    promote,
    resolve,
    rollback,
    versions,
)

__all__ = [
    "BEST",
    "CHALLENGER",
    "CHAMPION",
    "ModelVersion",
    "RegistrySettings",
    "challenge",
    "champion",
    "champions",
    "download",
    "find",
    "names",
    "promote",
    "resolve",
    "rollback",
    "versions",
]
