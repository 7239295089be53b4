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
    for number, asked in enumerate(stack, start=1):
        side = min(x.shape[1:3])
        if (asked.padding == "valid" and side < asked.kernel) or (side - asked.kernel) // asked.stride + 1 < asked.pool:
            raise VisageError(
                f"Convolution {number} of {len(stack)} gets a map of {side} pixels a side: too small for its window.",
                "Set a larger estimator.size or fewer layers.",
                usage=True,
            )
        x = layers.Conv2D(asked.filters, asked.kernel, asked.stride, padding=asked.padding)(x)
        if asked.norm:
            x = batch_norm()(x)
        x = layers.ReLU()(x)
        if asked.pool > 1:
            x = layers.MaxPooling2D(asked.pool)(x)
        if asked.dropout:
            x = layers.Dropout(asked.dropout)(x)
    return x
