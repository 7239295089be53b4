"""The versions that a model is held against on the same faces: the champion, and the best that was blessed so far."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from components import registry
from components.estimator import saved
from components.estimator.classes import AgeClasses
from components.evaluate import crops, metrics, predictions
from components.evaluate.intervals import Measured
from components.evaluate.metrics import LOWER_IS_BETTER
from components.registry import ModelVersion
from components.registry.learned_from import LearnedFrom
from schemas.artifact import read_manifest
from schemas.error import VisageError
from schemas.shard import Shard

log = logging.getLogger("visage.evaluate")

SELF = "self"


@dataclass(frozen=True)
class Rival:
    """A version on the test faces.

    Attributes:
        version: in the registry.
        best_in: the figures that it is the best in of all that were blessed so far.
        classes: of age that it tells; None where it tells years.
        faces: what it says of them, in the order of the test split; nothing of those that it takes no face from. None where
            a comparison would not be fair or is not possible.
        why_not: in that case, a sentence.
    """

    version: ModelVersion
    best_in: tuple[str, ...] = ()
    classes: AgeClasses | None = None
    faces: pd.DataFrame | None = None
    why_not: str = ""


def best_before(champion: ModelVersion) -> dict[str, str]:
    """The number of the version that is the best so far in every figure; empty where none is."""
    tags = {name: champion.tags.get(f"{registry.BEST}{name}", SELF) for name in LOWER_IS_BETTER}
    return {name: champion.version if number == SELF else number for name, number in tags.items()}


def numbers(champion: ModelVersion) -> list[str]:
    """The versions to be held against, by their numbers: the champion first."""
    return list(dict.fromkeys([champion.version, *filter(None, best_before(champion).values())]))


def measure(
    champion: ModelVersion,
    ingest: Path,
    test: Sequence[Shard],
    read: Callable[[int], None],
    thresholds: Sequence[int] = (),
) -> list[Rival]:
    """Let the champion, which comes first, and the best ones before it say what they can of the test faces.

    Args:
        champion: of the registry.
        ingest: the examples artifact.
        test: shards of its test split.
        read: called with the number of faces of each batch.
        thresholds: ages, years; it is told of each face how probable it is that it is so old.

    Raises:
        VisageError: the champion or the examples cannot be used.
    """
    best, count = best_before(champion), sum(shard.examples for shard in test)

    def best_in(number: str) -> tuple[str, ...]:
        return tuple(name for name, best_number in best.items() if best_number == number)

    try:
        rivals = [_measure(champion, best_in(champion.version), ingest, test, read, thresholds)]
    except _UnusableError as error:
        raise VisageError(
            f"The champion {champion} cannot be used: {error}",
            f"Make another version champion: `visage models promote {champion.name}/VERSION`.",
        ) from error
    others = numbers(champion)[1:]
    existing = {version.version: version for version in registry.versions(champion.name)} if others else {}
    for number in others:
        version = existing.get(number, ModelVersion(champion.name, number))
        try:
            if number not in existing:
                raise _UnusableError("it was deleted.")
            rivals.append(_measure(version, best_in(number), ingest, test, read))
        except _UnusableError as error:
            rivals.append(Rival(version, best_in(number), why_not=f"It cannot be used: {error}"))
    for rival in rivals:
        if rival.why_not:
            read(count)
            log.warning("not held against %s: %s", rival.version, rival.why_not)
    return rivals


class _UnusableError(Exception):
    """The files of a version are not there, or damaged; the text is a sentence that says so."""


def _measure(
    version: ModelVersion,
    best_in: tuple[str, ...],
    ingest: Path,
    test: Sequence[Shard],
    read: Callable[[int], None],
    thresholds: Sequence[int] = (),
) -> Rival:
    try:
        files = registry.download(version)
        estimator, photo = saved.load(files / "estimator"), crops.settings_of(files)
    except VisageError as error:
        raise _UnusableError(error.message) from error
    rival = Rival(version, best_in, estimator.classes)
    why_not = _leakage(version, files, ingest, test)
    if why_not:
        return replace(rival, why_not=why_not)
    try:
        faces = predictions.predict(estimator, crops.examples(ingest, test, photo), read, thresholds)
    except crops.CropsUnavailableError as error:
        return replace(rival, why_not=str(error))
    if faces["person"].isna().all():
        return replace(rival, why_not="By its own photo settings it takes no face from any of these photos.")
    return replace(rival, faces=faces)


def measure_version(version: ModelVersion, ingest: Path, test: Sequence[Shard], read: Callable[[int], None]) -> Rival:
    """Let one version say what it can of the test faces.

    Raises:
        VisageError: its files or the examples cannot be used.
    """
    try:
        return _measure(version, (), ingest, test, read)
    except _UnusableError as error:
        raise VisageError(f"{version} cannot be used: {error}") from error


def _leakage(version: ModelVersion, files: Path, ingest: Path, test: Sequence[Shard]) -> str:
    """Why the test faces are no fair test of a version; empty if they are."""
    if version.tags.get("visage.data_fingerprint") == read_manifest(ingest).fingerprint:
        return ""  # it was made from these very examples: its test split was this one
    learned_from = LearnedFrom.read(files)
    if learned_from is None:
        return "It was registered without a list of what it learned from, and these persons may be among it."
    learned = [learned_from.knows(example) for example in predictions.examples(ingest, test)]
    if any(learned):
        return f"It learned from the persons or photos of {sum(learned):,} of these {len(learned):,} test faces."
    return ""


def compared(rival: Rival, measured: Measured, classes: AgeClasses | None) -> dict[str, Any]:
    """What metrics.json tells of a rival: its figures, and ours minus its with their intervals.

    Args:
        rival: see `measure`.
        measured: the test faces, where the rival is among the others as `rival.version.version`.
        classes: of age that the new model tells.
    """
    comparison: dict[str, Any] = {
        "name": rival.version.name,
        "version": rival.version.version,
        "best_in": list(rival.best_in),
        "age_classes": list(rival.classes.names) if rival.classes else None,
        "compared": rival.faces is not None,
        "why_not": rival.why_not,
    }
    if rival.faces is None:
        return comparison | dict.fromkeys(metrics.BY_NAME) | {"faces": 0, "differences": {}}
    theirs, differences = metrics.figures(rival.faces), measured.differences[rival.version.version]
    fair = [name for name in metrics.BY_NAME if theirs[name] is not None]
    if rival.classes != classes:  # shares of right answers to different questions
        fair = [name for name in fair if not name.startswith("age_class")]
    comparison |= {
        **theirs,
        "faces": int(rival.faces["person"].notna().sum()),
        "differences": {name: differences[name]._asdict() for name in fair},
    }
    for name in fair:
        comparison |= {
            f"{name}_difference_low": differences[name].low,
            f"{name}_difference_high": differences[name].high,
        }
    return comparison


def best_after(blessed: bool, rivals: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Which version is the best so far in every figure, once this one is registered: `self`, a number, or empty for none.

    It goes from champion to champion, so that many small steps down are seen as the long way that they are.

    Args:
        blessed: whether this one is; else it is the best in nothing.
        rivals: what `compared` tells of each.
    """
    best = {}
    for name, lower in LOWER_IS_BETTER.items():
        before = next((rival for rival in rivals if name in rival["best_in"]), None)
        difference = (before["differences"].get(name) or {}).get("value") if before else None
        behind = difference is not None and (difference > 0 if lower else difference < 0)
        best[name] = SELF if blessed and not behind else str(before["version"]) if before else ""
    return best
