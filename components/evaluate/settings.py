"""Settings of the evaluate step."""

from typing import Annotated

from pydantic import Field, model_validator

from components.registry import RegistrySettings
from components.step.settings import Section
from schemas.record import MAX_AGE

_Share = Annotated[float, Field(gt=0, lt=1)]


class BlessingSettings(Section):
    """What a model must reach before it may go live."""

    min_examples: int = Field(50, ge=1, description="with fewer test examples nothing is blessed")
    max_baseline_ratio: float = Field(
        0.9,
        gt=0,
        description="largest age MAE, as a share of that of always saying the training split's median; for an estimator of "
        "age classes the share of wrong ones, likewise",
    )
    min_gender_accuracy: float = Field(0.7, ge=0, le=1, description="smallest share of genders told right")
    max_slice_mae: float | None = Field(
        None, gt=0, description="largest age MAE of any slice, years; not looked at where it is not set"
    )
    min_slice_examples: int = Field(
        30, ge=1, description="slices with fewer examples are too small to judge, and do not decide"
    )
    beat_baseline: bool = Field(
        True,
        description="every figure that has a baseline must be better than it, by the whole 95 % interval of the difference",
    )
    age_margin_years: float = Field(
        0.5,
        ge=0,
        description="how much larger than the champion's the age MAE may be, years, by the whole 95 % interval of the difference",
    )
    age_class_margin: float = Field(
        0.02, ge=0, le=1, description="how much smaller the share of right age classes may be, likewise"
    )
    gender_margin: float = Field(
        0.02, ge=0, le=1, description="how much smaller the share of right genders may be, likewise"
    )
    fresh_process: bool = Field(
        True, description="a process of its own must load the saved estimator and say the same of a few test faces"
    )


class AgeCheckSettings(Section):
    """Which checks of age are tried on the test faces."""

    thresholds: tuple[Annotated[int, Field(ge=1, le=MAX_AGE)], ...] = Field(
        (13, 16, 18, 21), description="ages that somebody must be, years; none: no checks are tried"
    )
    lowest_challenge: int = Field(
        18, ge=1, le=MAX_AGE, description="lowest challenge age, years, unless a threshold is higher"
    )
    highest_challenge: int = Field(35, ge=1, le=MAX_AGE, description="highest challenge age, years")
    probabilities: tuple[_Share, ...] = Field(
        (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995),
        description="the other rule: how probable an age of the threshold or more must be by the distribution",
    )
    false_acceptance: tuple[_Share, ...] = Field(
        (0.1, 0.05, 0.01),
        description="shares of minors let through for which the lowest check that keeps to it is told",
    )

    @model_validator(mode="after")
    def _in_order(self) -> "AgeCheckSettings":
        if self.lowest_challenge > self.highest_challenge:
            raise ValueError(
                f"lowest_challenge {self.lowest_challenge} is above highest_challenge {self.highest_challenge}"
            )
        return self


class EvaluateSettings(Section):
    """How a model is measured, and what is asked of it."""

    blessing: BlessingSettings = BlessingSettings()
    age_checks: AgeCheckSettings = AgeCheckSettings()
    require_blessing: bool = Field(False, description="end the run (exit code 1) where the model is not blessed")
    label_check: bool = Field(
        False, description="list the examples of all splits whose label is hard to believe, for ingest.exclude_list"
    )
    resamples: int = Field(1000, ge=100, le=100_000, description="of the bootstrap behind the 95 % intervals")
    seed: int = Field(0, ge=0, description="of the bootstrap")
    worst_faces: int = Field(
        24, ge=0, le=200, description="faces on the sheets of the largest and of the smallest errors"
    )


class Settings(Section):
    """Sections of the recipe that the step reads."""

    evaluate: EvaluateSettings = EvaluateSettings()
    registry: RegistrySettings = RegistrySettings()
