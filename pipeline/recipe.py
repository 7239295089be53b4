"""Recipes: the settings of a whole pipeline run, as a few lines of difference from the default or from another recipe."""

import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.beam_job import BeamSettings
from components.estimator.settings import EstimatorSettings
from components.evaluate.settings import EvaluateSettings
from components.ingest.settings import IngestSettings
from components.ingest.sources.settings import SourceSettings
from components.photo import PhotoSettings
from components.registry import RegistrySettings
from components.score.settings import ScoreSettings
from components.step import Step, settings
from components.step.settings import Section
from components.train.settings import TrainSettings
from components.validate.settings import ValidationSettings
from schemas.error import VisageError
from schemas.redaction import redacted

FOLDER = Path(__file__).with_name("recipes")


class RecipeSettings(Section):
    """All sections of all steps; with their defaults, the default recipe. What a section means, its own model tells."""

    source: SourceSettings = SourceSettings()
    photo: PhotoSettings = PhotoSettings()
    ingest: IngestSettings = IngestSettings()
    validation: ValidationSettings = ValidationSettings()
    estimator: EstimatorSettings = EstimatorSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    registry: RegistrySettings = RegistrySettings()
    score: ScoreSettings = ScoreSettings()
    beam: BeamSettings = BeamSettings()


@dataclass(frozen=True)
class Recipe:
    """A pipeline run's settings and what they are called.

    Attributes:
        name: of the recipe, or the path of its file.
        description: one or a few sentences for people.
        settings: an instance of `RecipeSettings`.
    """

    name: str
    description: str
    settings: RecipeSettings

    def of(self, step: Step) -> Any:
        """The sections that a step reads, as its own `settings`."""
        return step.settings(**{name: getattr(self.settings, name) for name in step.settings.model_fields})


def load(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """A recipe by name or file, with `a.b=value` overrides.

    Raises:
        VisageError: there is no such recipe, or its settings or the overrides are wrong.
    """
    values, description = _read(name)
    overrides = list(overrides)
    origin = f"the recipe {name}" + (" with --set" if overrides else "")
    return Recipe(name, description, settings.build(RecipeSettings, values, overrides, origin))


def names() -> list[str]:
    """The recipes that come with Visage; `default` first."""
    stems = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return sorted(stems, key=lambda name: name != "default")


def as_yaml(recipe: Recipe) -> str:
    """Every setting of a recipe with what it means, as a YAML file that can be a recipe itself."""
    lines = [f"# {recipe.description}"] if recipe.description else []
    return "\n".join([*lines, *_explained(recipe.settings, "")]) + "\n"


def _explained(section: Section, indent: str) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        meaning = f"  # {field.description}" if field.description else ""
        if isinstance(value, Section):
            yield f"{indent}{name}:{meaning}"
            yield from _explained(value, f"{indent}  ")
        else:
            plain = redacted(section.model_dump(mode="json", include={name}))[name]
            text = yaml.safe_dump(plain, default_flow_style=True, width=10_000, allow_unicode=True)
            yield f"{indent}{name}: {text.strip().removesuffix('...').strip()}{meaning}"


def _read(name: str, extended_by: tuple[Path, ...] = ()) -> tuple[dict[str, Any], str]:
    """What a recipe sets, over what the one that it extends sets; and its description, which is its own alone."""
    path = _find(name, extended_by[-1].parent if extended_by else Path.cwd())
    if path in extended_by:
        raise VisageError(f"The recipe {path} extends itself, by way of {extended_by[-1]}.", usage=True)
    try:
        values = settings.load_yaml(path.read_text(), str(name))
    except (OSError, UnicodeDecodeError) as error:
        raise VisageError(f"The recipe {path} cannot be read: {error}", usage=True) from error
    description = str(values.pop("description", "")).strip()
    extended = values.pop("extends", None)
    if extended is None:
        return values, description
    if not isinstance(extended, str):
        raise VisageError(f"In the recipe {name}, extends must be the name of a recipe, or its file.", usage=True)
    return settings.merge(RecipeSettings, _read(extended, (*extended_by, path))[0], values), description


def _find(name: str, folder: Path) -> Path:
    """The file of a recipe: one that comes with Visage, or, as seen from a folder, one's own."""
    if name in names():
        return FOLDER / f"{name}.yaml"
    if os.sep in name or name.endswith((".yaml", ".yml")):
        if (folder / name).is_file():
            return (folder / name).resolve()
        raise VisageError(f"There is no recipe file {name}.", usage=True)
    similar = difflib.get_close_matches(name, names(), n=3)
    suggestion = f"Did you mean {' or '.join(similar)}? " if similar else ""
    raise VisageError(
        f"There is no recipe {name}.", f"{suggestion}Recipes: {', '.join(names())}; or name a YAML file.", usage=True
    )
