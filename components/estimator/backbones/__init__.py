"""Backbones: from scaled pixels to a feature map, one file a family."""

from keras import KerasTensor

from components.estimator.backbones import applications, residual, stack
from components.estimator.settings import ApplicationSettings, BackboneSettings, ResidualSettings, StackSettings


def features(image: KerasTensor, settings: BackboneSettings) -> KerasTensor:
    """The feature map [N, height, width, channels] of an image [N, size, size, channels].

    Raises:
        VisageError: published weights were asked for and cannot be had, or the image is too small for the backbone.
    """
    match settings:
        case ResidualSettings():
            return residual.features(image, settings)
        case StackSettings():
            return stack.features(image, settings.layers)
        case ApplicationSettings():
            return applications.features(image, settings)


def scaling(settings: BackboneSettings) -> str:
    """The scaling of pixels that suits a backbone: what its published weights were trained with."""
    if isinstance(settings, ApplicationSettings):
        return applications.scaling(settings)
    return "signed"
