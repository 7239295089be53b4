"""What a recipe can choose of training."""

from typing import Literal

from pydantic import Field

from components.estimator.settings import EstimatorSettings
from components.step.settings import Section, runtime_only


class AugmentSettings(Section):
    """Changes to every training batch, drawn anew for every face."""

    flip: bool = Field(True, description="mirror every other face")
    rotation: float = Field(5.0, ge=0, le=180, description="largest turn to either side, degrees")
    zoom: float = Field(0.05, ge=0, lt=1, description="largest change of scale, as a share")
    shift: float = Field(0.03, ge=0, lt=1, description="largest shift along either axis, as a share of the side")
    shear: float = Field(0.0, ge=0, lt=90, description="largest shear to either side, degrees")
    brightness: float = Field(0.1, ge=0, le=1, description="largest change of brightness, as a share of the full range")
    contrast: float = Field(0.2, ge=0, lt=1, description="largest change of contrast, as a share")
    saturation: float = Field(0.2, ge=0, le=1, description="largest change of saturation, as a share")
    erase: float = Field(
        0.3, ge=0, lt=1, description="side of the square that is blotted out, as a share of the side; 0: none"
    )


class OptimizerSettings(Section):
    """The optimizer and its learning rate over the steps."""

    name: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0, description="the highest")
    weight_decay: float = Field(5e-2, ge=0, description="of adamw; not on biases and normalisation")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    nesterov: bool = Field(False, description="of sgd")
    clip_norm: float = Field(5.0, ge=0, description="largest norm of all gradients together; 0 does not clip")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="course of the rate after the warm-up")
    warmup_epochs: float = Field(1.0, ge=0, description="epochs over which the rate rises from 0")


class StopSettings(Section):
    """Early stopping, and which epoch's weights are the best."""

    metric: Literal["val_loss", "val_age_mae", "val_age_class_accuracy", "val_gender_accuracy"] = Field(
        "val_loss", description="figure of the validation split that decides"
    )
    patience: int = Field(15, ge=1, description="epochs without a better figure before training stops")


class TrainSettings(Section):
    """How the estimator is trained."""

    epochs: int = Field(45, ge=1, description="at most; early stopping may come before")
    batch_size: int = Field(64, ge=1)
    seed: int = Field(0, ge=0, description="of weights, order and augmentation")
    folds: int = Field(
        1,
        ge=1,
        le=100,
        description="1: one model. More: an ensemble of a model a fold, which learns from the other folds and is validated on "
        "its own, of the training and validation splits together; their average is the estimator. ingest.split.folds alike",
    )
    optimizer: OptimizerSettings = OptimizerSettings()
    average: float = Field(
        0.995,
        ge=0,
        lt=1,
        description="decay a step of the moving average of weights that is validated and kept; 0: none",
    )
    balance: float = Field(
        0, ge=0, le=1, description="how far rare ages and genders count for more; 1: every age as much as any other"
    )
    calibrate: bool = Field(
        True,
        description="fit temperatures and the limits of the 90 % interval to the validation split, and keep with the estimator "
        "what helps on folds of it",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "float32",
        description="of activations; weights stay float32; auto: bfloat16 or float16 on GPUs that are made for it",
    )
    augment: AugmentSettings = AugmentSettings()
    stop: StopSettings = StopSettings()
    xla: bool = runtime_only(False, "compile the training step with XLA; pays on GPUs")
    cache: Literal["auto", "always", "never"] = runtime_only(
        "auto", "keep decoded faces in memory; auto does where they take no more than a quarter of what is free"
    )


class Settings(Section):
    """The sections of a recipe that the train step reads."""

    estimator: EstimatorSettings = EstimatorSettings()
    train: TrainSettings = TrainSettings()
