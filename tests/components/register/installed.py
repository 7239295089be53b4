"""A folder that holds what pip would install for a list of requirements, taken from the environment at hand."""

import importlib.metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def install(requirements: list[str], folder: Path) -> None:
    """Link the files of the distributions that the requirements name, and of all that these require in turn."""
    names, waiting = set[str](), [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        if canonicalize_name(wanted.name) in names and not wanted.extras:
            continue
        names.add(canonicalize_name(wanted.name))
        distribution = importlib.metadata.distribution(wanted.name)
        assert wanted.specifier.contains(distribution.version, prereleases=True), wanted
        for line in distribution.requires or ():
            further = Requirement(line)
            environments = [{"extra": extra} for extra in ("", *wanted.extras)]
            if further.marker is None or any(further.marker.evaluate(environment) for environment in environments):
                further.marker = None
                waiting.append(further)
    for name in names:
        _link(importlib.metadata.distribution(name), folder)


def _link(distribution: importlib.metadata.Distribution, folder: Path) -> None:
    for file in distribution.files or ():
        target = folder / file
        if file.parts[0] == ".." or target.is_symlink():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(str(distribution.locate_file(file)))
