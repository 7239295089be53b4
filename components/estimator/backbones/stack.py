"""Plain stacks of convolutions; the recipes of the published systems are written with them."""

from collections.abc import Sequence

from keras import KerasTensor, layers

from components.estimator.backbones.norm import batch_norm
from components.estimator.settings import ConvolutionSettings
from schemas.error import VisageError


def features(x: KerasTensor, stack: Sequence[ConvolutionSettings]) -> KerasTensor:
    """The feature map after the last layer.

    Raises:
        VisageError: the map is smaller than a layer's window.
    """
    for number, convolution in enumerate(stack, start=1):
        side = min(x.shape[1:3])
        if (convolution.padding == "valid" and side < convolution.kernel) or (
            side - convolution.kernel
        ) // convolution.stride + 1 < convolution.pool:
            raise VisageError(
                f"Convolution {number} of {len(stack)} gets a map of {side} pixels a side: too small for its window.",
                "Set a larger estimator.size or fewer layers.",
                usage=True,
            )
        x = layers.Conv2D(convolution.filters, convolution.kernel, convolution.stride, padding=convolution.padding)(x)
        if convolution.norm:
            x = batch_norm()(x)
        x = layers.ReLU()(x)
        if convolution.pool > 1:
            x = layers.MaxPooling2D(convolution.pool)(x)
        if convolution.dropout:
            x = layers.Dropout(convolution.dropout)(x)
    return x
