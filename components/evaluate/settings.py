"""Settings of the evaluate step."""

from pydantic import Field

from components.registry import RegistrySettings
from components.step.settings import Section


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
    min_slice_examples: int = Field(30, ge=1, description="slices with fewer examples do not decide")
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


class EvaluateSettings(Section):
    """How a model is measured, and what is asked of it."""

    blessing: BlessingSettings = BlessingSettings()
    require_blessing: bool = Field(False, description="end the run (exit code 1) where the model is not blessed")
    resamples: int = Field(1000, ge=100, le=100_000, description="of the bootstrap behind the 95 % intervals")
    seed: int = Field(0, ge=0, description="of the bootstrap")
    worst_faces: int = Field(24, ge=0, le=200, description="faces on the sheet of the largest errors")


class Settings(Section):
    """Sections of the recipe that the step reads."""

    evaluate: EvaluateSettings = EvaluateSettings()
    registry: RegistrySettings = RegistrySettings()
