"""What a recipe can choose of the estimator: pixels, backbone, heads, losses."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from components.settings import Section
from schemas.record import MAX_AGE


class PixelSettings(Section):
    """How stored pixels become the values that the backbone sees; all of it is part of the saved model."""

    scaling: Literal["unit", "signed", "raw"] = Field(
        "signed", description="range of the values: unit 0 to 1, signed -1 to 1, raw 0 to 255"
    )


class ResidualSettings(Section):
    """Our compact residual net; the default."""

    kind: Literal["residual"] = "residual"
    width: int = Field(32, ge=4, le=512, description="channels of the first stage; every further stage doubles them")
    blocks: tuple[int, ...] = Field((2, 2, 2, 2), min_length=1, description="residual blocks a stage")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of the features left out in training")


def _backbone_kind(value: Any) -> str:
    return str(value.get("kind", "residual")) if isinstance(value, dict) else value.kind


BackboneSettings = Annotated[Annotated[ResidualSettings, Tag("residual")], Discriminator(_backbone_kind)]


class AgeSettings(Section):
    """The age head and its loss."""

    lowest: int = Field(0, ge=0, le=MAX_AGE, description="youngest age of the distribution, years")
    highest: int = Field(MAX_AGE, ge=1, le=MAX_AGE, description="oldest age of the distribution, years")
    sigma: float = Field(2.0, gt=0, description="deviation of the Gaussian target of label distributions, years")
    weight: float = Field(1.0, ge=0, description="weight of the age loss in the sum")


class GenderSettings(Section):
    """The gender head and its loss."""

    head: Literal["sigmoid", "none"] = Field("sigmoid", description="one logit; none: the estimator knows no gender")
    weight: float = Field(5.0, ge=0, description="weight of the gender loss in the sum")


class EstimatorSettings(Section):
    """The whole estimator."""

    size: int = Field(64, ge=16, le=1024, description="side of the square that the estimator sees, pixels")
    pixels: PixelSettings = PixelSettings()
    backbone: ResidualSettings = ResidualSettings()
    age: AgeSettings = AgeSettings()
    gender: GenderSettings = GenderSettings()
