"""Our compact residual net, for small faces and little data.

Blocks with the activation before the convolution (He et al., "Identity mappings in deep residual networks", ECCV 2016), the
first after some strided convolutions, every further stage with half the side and twice the channels. With two of those the net
sees 128 pixels at about a fifth more than the cost of 64.
"""

from keras import KerasTensor, layers

from components.estimator.backbones.norm import batch_norm
from components.estimator.settings import ResidualSettings


def features(image: KerasTensor, settings: ResidualSettings) -> KerasTensor:
    """The feature map, of width * 2 ** (stages - 1) channels."""
    x = _stem(image, settings)
    for stage, blocks in enumerate(settings.blocks):
        for block in range(blocks):
            x = _block(x, settings.width * 2**stage, stride=2 if stage and not block else 1)
    return _activated(x)


def _stem(x: KerasTensor, settings: ResidualSettings) -> KerasTensor:
    channels = [settings.width // 2**left for left in reversed(range(settings.stem))]
    x = _convolution(channels[0], stride=2)(x)
    for count in channels[1:]:
        x = _convolution(count, stride=2)(_activated(x))
    return x


def _block(x: KerasTensor, channels: int, stride: int) -> KerasTensor:
    inner = _activated(x)
    if x.shape[-1] == channels and stride == 1:
        shortcut = x
    else:
        shortcut = layers.AveragePooling2D(stride, padding="same")(inner) if stride > 1 else inner
        shortcut = layers.Conv2D(channels, 1, use_bias=False)(shortcut)
    inner = _convolution(channels, stride)(inner)
    inner = _convolution(channels)(_activated(inner))
    return layers.Add()([shortcut, inner])


def _activated(x: KerasTensor) -> KerasTensor:
    return layers.ReLU()(batch_norm(momentum=0.9)(x))


def _convolution(channels: int, stride: int = 1) -> layers.Layer:
    return layers.Conv2D(channels, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal")
