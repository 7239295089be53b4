"""What a recipe can choose of the estimator: pixels, backbone, trunk and branches, heads and their losses."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from components.step.settings import Section, external_path
from schemas.record import MAX_AGE


class PixelSettings(Section):
    """How stored pixels become the values that the backbone sees; all of it is part of the saved model."""

    colour: Literal["rgb", "grey"] = Field("rgb", description="three channels, or one of their luminance")
    scaling: Literal["auto", "unit", "signed", "raw", "caffe", "imagenet"] = Field(
        "auto",
        description="range of the values: unit 0 to 1; signed -1 to 1; raw 0 to 255; caffe: blue, green, red less ImageNet's "
        "mean; imagenet: less ImageNet's mean, over its deviation; auto: what the backbone's published weights expect",
    )
    standardise: bool = Field(False, description="every face to mean 0 and deviation 1")
    whiten: bool = Field(False, description="ZCA whitening, fitted on the training split")
    whiten_epsilon: float = Field(0.1, gt=0, description="added to the variances that whitening divides by")


class ConvolutionSettings(Section):
    """A convolution, then, as far as asked for, batch normalisation; ReLU; max pooling; dropout."""

    filters: int = Field(ge=1, description="output channels")
    kernel: int = Field(3, ge=1, description="side of the window, pixels")
    stride: int = Field(1, ge=1)
    padding: Literal["valid", "same"] = Field("valid", description="valid: the map shrinks by the window's rim")
    norm: bool = Field(False, description="batch normalisation")
    pool: int = Field(2, ge=1, description="side of the max pooling window and its stride; 1: none")
    dropout: float = Field(0, ge=0, lt=1)


class ResidualSettings(Section):
    """Our compact residual net; the default."""

    kind: Literal["residual"] = "residual"
    width: int = Field(32, ge=4, le=512, description="channels of the first stage; every further stage doubles them")
    stem: int = Field(
        2,
        ge=1,
        le=3,
        description="strided convolutions before the first block; each halves the side of what blocks see",
    )
    blocks: tuple[int, ...] = Field((1, 1, 1, 1), min_length=1, description="residual blocks a stage")


class StackSettings(Section):
    """Plain convolutions, one after the other; most published systems for age and gender are of this kind."""

    kind: Literal["stack"]  # no default: settings written without their defaults must still say which kind they are of
    layers: tuple[ConvolutionSettings, ...] = Field(min_length=1)


class ApplicationSettings(Section):
    """A published architecture from keras.applications, without its classifier."""

    kind: Literal["vgg16", "resnet50", "efficientnetv2", "mobilenet", "mobilenetv3", "convnext"]
    variant: str = Field("", description="size of the family, for instance s of efficientnetv2; empty: the smallest")
    weights: str = external_path(
        "none",
        "none: trained from scratch; imagenet: the published weights, fetched once; or the path of their .h5 file, of mobilenet "
        "also of the .json file of a graph of TensorFlow.js",
    )
    trainable: bool = Field(True, description="whether training changes the backbone's weights")

    @model_validator(mode="after")
    def _variant_exists(self) -> Self:
        if self.variant and self.variant not in VARIANTS[self.kind]:
            raise ValueError(f"variants of {self.kind}: {', '.join(VARIANTS[self.kind]) or 'none'}")
        if self.weights_are_a_graph and self.kind != "mobilenet":
            raise ValueError("a graph of TensorFlow.js (.json) is read for kind mobilenet only")
        return self

    @property
    def weights_are_a_graph(self) -> bool:
        """Whether they are named as the JSON file of a graph of TensorFlow.js; Keras has files FILE.weights.json of its own."""
        return self.weights.endswith(".json") and not self.weights.endswith(".weights.json")

    @property
    def size_of_family(self) -> str:
        """The variant, or the smallest; empty for a family of one."""
        return self.variant or next(iter(VARIANTS[self.kind]), "")


VARIANTS = {
    "vgg16": (),
    "resnet50": (),
    "efficientnetv2": ("b0", "b1", "b2", "b3", "s", "m", "l"),
    "mobilenet": (),
    "mobilenetv3": ("small", "large"),
    "convnext": ("tiny", "small", "base", "large", "xlarge"),
}
"""The sizes in which keras.applications has each family, smallest first."""


def _kind(value: Any) -> str:
    kind = value.get("kind", "residual") if isinstance(value, dict) else value.kind
    return "application" if kind in VARIANTS else str(kind)


BackboneSettings = Annotated[
    Annotated[ResidualSettings, Tag("residual")]
    | Annotated[StackSettings, Tag("stack")]
    | Annotated[ApplicationSettings, Tag("application")],
    Discriminator(
        _kind,
        custom_error_type="backbone_kind",
        custom_error_message=f"kind must be one of residual, stack, {', '.join(VARIANTS)}",
    ),
]


class TrunkSettings(Section):
    """What the heads share after the backbone."""

    pooling: Literal["average", "flatten"] = Field("average", description="how a feature map becomes a vector")
    dense: tuple[int, ...] = Field((), description="units of dense layers with ReLU")
    dropout: float = Field(
        0.3, ge=0, lt=1, description="after every dense layer; after the pooling where there is none"
    )


class BranchSettings(Section):
    """What every head has for itself before its logits."""

    layers: tuple[ConvolutionSettings, ...] = Field(
        (), description="convolutions; only where the trunk has no dense layer"
    )
    dense: tuple[int, ...] = Field((), description="units of dense layers with ReLU")
    dropout: float = Field(0, ge=0, lt=1, description="after every dense layer")


AGE_LOSSES = {
    "distribution": ("cross_entropy", "dldl", "dldl_v2", "mean_variance", "squared_error"),
    "ordinal": ("coral", "or_cnn"),
    "regression": ("squared_error", "absolute_error"),
}
"""The losses that go with each age head."""


class AgeSettings(Section):
    """The age head and its loss."""

    head: Literal["distribution", "ordinal", "regression"] = Field(
        "distribution",
        description="distribution: a probability an age class, softmax; ordinal: one for being older than each class; "
        "regression: the age itself",
    )
    lowest: int = Field(0, ge=0, le=MAX_AGE, description="youngest age, years")
    highest: int = Field(MAX_AGE, ge=1, le=MAX_AGE, description="oldest age, years")
    edges: tuple[int, ...] = Field(
        (), description="ages at which a new class begins, years: 30, 45, 60 make four; empty: every year is a class"
    )
    classes: tuple[str, ...] = Field(
        (),
        description="names of the classes between the edges, youngest first, for examples that have a class and no age",
    )
    loss: Literal[
        "cross_entropy", "dldl", "dldl_v2", "mean_variance", "squared_error", "absolute_error", "coral", "or_cnn"
    ] = Field("dldl_v2", description="see components/estimator/losses.py for the paper of each")
    sigma: float = Field(2.0, gt=0, description="deviation of the Gaussian targets of dldl and dldl_v2, years")
    weight: float = Field(1.0, ge=0, description="weight of the age loss in the sum")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.loss not in AGE_LOSSES[self.head]:
            raise ValueError(f"loss {self.loss} does not go with head {self.head}: {', '.join(AGE_LOSSES[self.head])}")
        if self.head == "regression" and self.edges:
            raise ValueError("a regression has no edges")
        inside = [self.lowest, *self.edges, self.highest + 1]
        if sorted(set(inside)) != inside:
            raise ValueError("edges must rise, between lowest and highest")
        if self.classes and not self.edges:
            raise ValueError("classes want edges, the ages at which they part: without them every year is a class")
        if self.classes and len(self.classes) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges make {len(self.edges) + 1} classes, not {len(self.classes)}")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"two classes have one name: {', '.join(self.classes)}")
        return self

    @property
    def starts(self) -> tuple[int, ...]:
        """The ages at which every class but the first begins, years."""
        return self.edges or tuple(range(self.lowest + 1, self.highest + 1))


class GenderSettings(Section):
    """The gender head and its loss, a cross-entropy."""

    head: Literal["sigmoid", "softmax", "none"] = Field(
        "sigmoid", description="sigmoid: one logit; softmax: one a gender; none: the estimator knows no gender"
    )
    weight: float = Field(8.0, ge=0, description="weight of the gender loss in the sum")


class EstimatorSettings(Section):
    """The whole estimator."""

    size: int = Field(128, ge=16, le=1024, description="side of the square that the estimator sees, pixels")
    pixels: PixelSettings = PixelSettings()
    backbone: BackboneSettings = ResidualSettings()
    trunk: TrunkSettings = TrunkSettings()
    branch: BranchSettings = BranchSettings()
    age: AgeSettings = AgeSettings()
    gender: GenderSettings = GenderSettings()
    mirror: bool = Field(
        True, description="predict the average of a face and its mirror image: closer, for twice the work"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.branch.layers and self.trunk.dense:
            raise ValueError(
                "branch.layers are convolutions and need a map; trunk.dense makes a vector of it before them"
            )
        if self.pixels.colour == "grey" and self.pixels.scaling in ("caffe", "imagenet"):
            raise ValueError(f"pixels.scaling {self.pixels.scaling} is of three channels, pixels.colour grey has one")
        if self.pixels.colour == "grey" and getattr(self.backbone, "weights", "none") == "imagenet":
            raise ValueError("ImageNet's weights are of three channels, pixels.colour grey has one")
        return self
