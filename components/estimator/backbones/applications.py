"""Published architectures from keras.applications, with or without their published weights.

VGG16 (Simonyan and Zisserman, ICLR 2015), ResNet50 (He et al., CVPR 2016), EfficientNetV2 (Tan and Le, ICML 2021),
MobileNet (Howard et al., 2017), MobileNetV3 (Howard et al., ICCV 2019), ConvNeXt (Liu et al., CVPR 2022).
"""

import textwrap
from pathlib import Path
from typing import Any

import keras
from keras import KerasTensor, applications

from components.estimator import tfjs
from components.estimator.backbones import mobilenet
from components.estimator.settings import ApplicationSettings
from schemas.error import VisageError


def features(image: KerasTensor, settings: ApplicationSettings) -> KerasTensor:
    """The feature map of the architecture without its classifier.

    Raises:
        VisageError: the weights cannot be had or are of another architecture, or the image does not suit it.
    """
    make, options = _maker(settings)
    graph = tfjs.read(Path(settings.weights)) if settings.weights_are_a_graph else None
    weights = None if graph or settings.weights == "none" else settings.weights
    try:
        network: keras.Model = make(include_top=False, weights=weights, input_shape=image.shape[1:], **options)
    except Exception as error:  # keras.utils.get_file raises nothing narrower when it cannot fetch
        reason = textwrap.shorten(str(error), 400, placeholder=" ...")  # of other shapes Keras shows the numbers too
        raise VisageError(
            f"The backbone {settings.kind} with weights {settings.weights} cannot be made: {reason}",
            _hint(settings),
        ) from error
    if graph:
        mobilenet.take_weights(network, graph, settings.weights)
    network.trainable = settings.trainable
    return network(image)


def scaling(settings: ApplicationSettings) -> str:
    """The range of pixels that the published weights were trained with; `signed` where there are none."""
    if settings.weights == "none":
        return "signed"
    if settings.kind == "efficientnetv2":
        return "imagenet" if settings.size_of_family.startswith("b") else "signed"
    return {
        "vgg16": "caffe",
        "resnet50": "caffe",
        "mobilenet": "signed",
        "mobilenetv3": "signed",
        "convnext": "imagenet",
    }[settings.kind]


def _hint(settings: ApplicationSettings) -> str:
    if settings.weights == "imagenet":
        return (
            "Where there is no network, fetch the weights that the message names elsewhere and set "
            "estimator.backbone.weights to the file's path."
        )
    if settings.kind == "mobilenet" and not Path(settings.weights).exists():
        return "`visage weights faceres --out FILE` fetches those of the recipe faceres_mobilenet."
    return ""


def _maker(settings: ApplicationSettings) -> tuple[Any, dict[str, Any]]:
    """The function of keras.applications and what it wants; scaling of pixels is ours."""
    family, size = settings.kind, settings.size_of_family.capitalize()
    if family in ("vgg16", "resnet50", "mobilenet"):
        return getattr(applications, {"vgg16": "VGG16", "resnet50": "ResNet50", "mobilenet": "MobileNet"}[family]), {}
    name = {"efficientnetv2": "EfficientNetV2", "mobilenetv3": "MobileNetV3", "convnext": "ConvNeXt"}[family]
    size = "XLarge" if size == "Xlarge" else size
    return getattr(applications, f"{name}{size}"), {"include_preprocessing": False}
