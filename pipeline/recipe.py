"""Recipes: the settings of a whole pipeline run, as a few lines of difference from the default."""

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import create_model

from components import settings
from components.ingest.sources import photos_root
from components.settings import Section
from components.step import Step
from pipeline.dag import STEPS
from schemas.error import VisageError

FOLDER = Path(__file__).with_name("recipes")


def _sections() -> dict[str, type[Section]]:
    """Every section that some step reads, by name; a section that two steps read is the same model for both."""
    found: dict[str, type[Section]] = {}
    for step in STEPS:
        for name, field in step.settings.model_fields.items():
            model = field.annotation
            if not (isinstance(model, type) and issubclass(model, Section)):
                raise TypeError(f"{step.name}: the section {name} is no settings model")
            if found.setdefault(name, model) is not model:
                raise TypeError(f"{step.name}: the section {name} differs from that of an earlier step")
    return found


SettingsOfAll: type[Section] = create_model(
    "SettingsOfAll", __base__=Section, **{name: (model, model()) for name, model in _sections().items()}
)
"""All sections of all steps with their defaults: the default recipe."""


@dataclass(frozen=True)
class Recipe:
    """A pipeline run's settings and what they are called.

    Attributes:
        name: of the recipe, or the path of its file.
        description: one or a few sentences for people.
        settings: an instance of `SettingsOfAll`.
    """

    name: str
    description: str
    settings: Section

    def of(self, step: Step) -> Section:
        """The sections that a step reads."""
        return step.settings(**{name: getattr(self.settings, name) for name in step.settings.model_fields})


def load(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """A recipe by name or file, with `a.b=value` overrides.

    Raises:
        VisageError: there is no such recipe, or its settings or the overrides are wrong.
    """
    path = _find(name)
    try:
        values = settings.load_yaml(path.read_text(), str(name))
    except (OSError, UnicodeDecodeError) as error:
        raise VisageError(f"The recipe {path} cannot be read: {error}", usage=True) from error
    description = str(values.pop("description", "")).strip()
    overrides = list(overrides)
    where = f"the recipe {name}" + (" with --set" if overrides else "")
    return Recipe(name, description, _with_photos(settings.build(SettingsOfAll, values, overrides, where)))


def names() -> list[str]:
    """The recipes that come with Visage; `default` first."""
    held = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return sorted(held, key=lambda name: name != "default")


def _with_photos(whole: Any) -> Section:
    """A recipe that names no photos to score has the photos of its source scored."""
    if whole.score.photos or not whole.source.path:
        return whole
    photos = [photos_root(whole.source)]
    return whole.model_copy(update={"score": whole.score.model_copy(update={"photos": photos})})


def _find(name: str) -> Path:
    if name in names():
        return FOLDER / f"{name}.yaml"
    if os.sep in name or name.endswith((".yaml", ".yml")):
        if Path(name).is_file():
            return Path(name)
        raise VisageError(f"There is no recipe file {name}.", usage=True)
    near = difflib.get_close_matches(name, names(), n=3)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise VisageError(
        f"There is no recipe {name}.", f"{meant}Recipes: {', '.join(names())}; or name a YAML file.", usage=True
    )
