"""Settings of the validate step."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from components.registry import RegistrySettings
from components.step.settings import Section, external_path

Verdict = Literal["fail", "warn"]


class ValidationSettings(Section):
    """What is asked of the data, and what happens where it falls short."""

    on_anomaly: Verdict = Field("fail", description="where a split breaks the schema: fail the run, or only warn")
    on_skew: Verdict = Field("fail", description="where validation or test is unlike train: fail the run, or only warn")
    on_drift: Verdict = Field(
        "warn", description="where train is unlike the champion's training data: fail the run, or only warn"
    )
    min_examples: int = Field(
        100,
        ge=1,
        description="labels that both sides need for a comparison; with fewer, chance alone makes them differ",
    )
    reference: Path | None = external_path(
        None, "statistics file (train.pb of another run) to hold against instead of the champion's"
    )

    schema_file: Path | None = external_path(
        None, "reviewed schema, and the distances that it allows; without one, the project's example_schema.pbtxt"
    )

    @model_validator(mode="before")
    @classmethod
    def _distances_are_the_schemas(cls, values: Any) -> Any:
        named = [name for name in ("skew", "drift") if isinstance(values, dict) and name in values]
        if named:
            raise ValueError(
                f"how much {named[0]} is allowed stands in the schema, as a feature's {named[0]}_comparator "
                "(see `visage schema --help`)"
            )
        return values


class Settings(Section):
    """Sections of the recipe that the step reads."""

    validation: ValidationSettings = ValidationSettings()
    registry: RegistrySettings = RegistrySettings()
