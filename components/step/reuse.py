"""An artifact that counts for what a step would make, though its fingerprint is another one."""

from collections.abc import Callable, Mapping
from pathlib import Path

from components.step import identity
from components.step.settings import Section
from components.step.step import Step, Surroundings
from schemas.artifact import Manifest


def behind_the_champion(
    step: Step,
    settings: Section,
    inputs: Mapping[str, Path],
    surroundings: Surroundings,
    manifest_of: Callable[[str], Manifest | None],
) -> str:
    """Fingerprint of the artifact by way of which the champion was registered, if inputs and settings are those; else empty.

    A model that has become champion need not be compared with itself.

    Args:
        step: that would run.
        settings: its settings.
        inputs: folder of every input artifact, by the input's name.
        surroundings: of the run, with its champion.
        manifest_of: the manifest of the step's artifact of a fingerprint; None where it is not there any more.
    """
    champion = surroundings.champion
    if not step.reads_champion or champion is None:
        return ""
    digest = champion.tags.get(f"{identity.INPUT_TAG}{step.name}", "")
    manifest = manifest_of(digest) if digest else None
    if manifest is None:
        return ""
    as_then = identity.of_step(step, settings, inputs, manifest.champion)
    return digest if as_then.digest == digest else ""
