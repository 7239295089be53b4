"""Settings of the validate step."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from components.registry import RegistrySettings
from components.step.settings import Section, external_path

Verdict = Literal["fail", "warn"]


class Distances(Section):
    """The largest distances between two distributions that pass, 0 (the same) to 1 (nothing in common)."""

    age: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Jensen-Shannon divergence of the ages, to base 2, as TFDV takes it from its ten-bin histograms",
    )
    age_class: float = Field(0.2, ge=0, le=1, description="largest difference of an age class's share (L-infinity)")
    gender: float = Field(0.2, ge=0, le=1, description="largest difference of a gender's share (L-infinity)")


class ValidationSettings(Section):
    """What is asked of the data, and what happens where it falls short."""

    on_anomaly: Verdict = Field("fail", description="where a split breaks the schema: fail the run, or only warn")
    on_skew: Verdict = Field("fail", description="where validation or test is unlike train: fail the run, or only warn")
    on_drift: Verdict = Field(
        "warn", description="where train is unlike the champion's training data: fail the run, or only warn"
    )
    skew: Distances = Field(Distances(age=0.2), description="allowed between train and the other splits")
    drift: Distances = Field(Distances(), description="allowed between train and the champion's training data")
    min_examples: int = Field(
        100,
        ge=1,
        description="labels that both sides need for a comparison; with fewer, chance alone makes them differ",
    )
    reference: Path | None = external_path(
        None, "statistics file (train.pb of another run) to hold against instead of the champion's"
    )


class Settings(Section):
    """Sections of the recipe that the step reads."""

    validation: ValidationSettings = ValidationSettings()
    registry: RegistrySettings = RegistrySettings()
