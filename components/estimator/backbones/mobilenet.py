"""MobileNet (Howard et al., 2017) of keras.applications with the weights of a graph of TensorFlow.js.

A converter folds batch normalisation into the convolutions before it, as far as it can. What is left after a convolution is a
factor and a summand a channel, and this is what the layer's batch normalisation is given.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np

from components.estimator.backbones import folded
from components.estimator.tfjs import Graph, Node
from schemas.error import VisageError

_CONVOLUTIONS = ("Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative")
_WITHOUT_WEIGHTS = ("Identity", "Pad", "Relu", "Relu6", "Minimum", "Maximum")
"""What stands between two convolutions and is in Keras's layers anyway: padding, and ReLU up to 6."""


@dataclass(frozen=True)
class Convolution:
    """A convolution of a graph, and what is done to its channels before they are activated.

    Attributes:
        kernel: [height, width, channels in, channels out], or of a depthwise one [height, width, channels, 1].
        strides: along height and width.
        scale: factor of every channel.
        shift: is added to every channel then.
    """

    kernel: np.ndarray
    strides: tuple[int, ...]
    scale: np.ndarray
    shift: np.ndarray


def take_weights(network: keras.Model, graph: Graph, source: str) -> None:
    """Give a MobileNet without classifier the weights of a graph, which may go on with any heads.

    Args:
        network: as keras.applications.MobileNet makes it.
        graph: with the same convolutions, one after the other.
        source: what the graph was read from, for people.

    Raises:
        VisageError: the graph is of another network.
    """
    layers = [
        layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)
    ]
    convolutions = list(_convolutions(graph))
    if len(convolutions) < len(layers):
        raise VisageError(
            f"{source} is no MobileNet: {len(convolutions)} convolutions where {len(layers)} are expected.", _HINT
        )
    for layer, convolution in zip(layers, convolutions, strict=False):
        actual, expected = (
            (convolution.kernel.shape, convolution.strides),
            (tuple(layer.kernel.shape), tuple(layer.strides)),
        )
        if actual != expected:
            raise VisageError(
                f"{source} is no such MobileNet: {layer.name} has there a kernel of {actual[0]} and strides of {actual[1]}, "
                f"where {expected[0]} and {expected[1]} are expected.",
                _HINT,
            )
        layer.kernel.assign(convolution.kernel)
        folded.fold(network.get_layer(f"{layer.name}_bn"), convolution.scale, convolution.shift)


_HINT = "The weights that are wanted are those of MobileNet, version 1, of full width."


def _convolutions(graph: Graph) -> Iterator[Convolution]:
    """The convolutions of a graph from its input on, as long as one follows the other."""
    current = None
    for node in _chain(graph):
        weights = [graph.weights[name] for name in node.inputs if name in graph.weights]
        if node.op in _CONVOLUTIONS and weights:
            if current:
                yield current
            current = _begun(node, weights)
        elif current and node.op in ("Mul", "Add", "AddV2", "BiasAdd") and len(weights) == 1:
            if node.op == "Mul":
                current = replace(current, scale=current.scale * weights[0], shift=current.shift * weights[0])
            else:
                current = replace(current, shift=current.shift + weights[0])
        elif node.op not in _WITHOUT_WEIGHTS:
            break
    if current:
        yield current


def _begun(node: Node, weights: list[np.ndarray]) -> Convolution:
    """A convolution, with the bias that may have been fused with it."""
    kernel = weights[0]
    channels = kernel.shape[2] if "Depthwise" in node.op else kernel.shape[-1]
    bias = weights[1] if len(weights) > 1 else np.zeros(channels, np.float32)
    strides = tuple(int(step) for step in node.attributes["strides"]["list"]["i"][1:3])
    return Convolution(kernel, strides, np.ones(channels, np.float32), bias)


def _chain(graph: Graph) -> Iterator[Node]:
    """The nodes after the input, each the only one that takes the output of the one before; the constants are none of them."""
    takers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            takers.setdefault(name, []).append(node)
    inputs = [node for node in graph.nodes if node.op == "Placeholder"]
    following = takers.get(inputs[0].name, []) if len(inputs) == 1 else []
    for _ in graph.nodes:
        if len(following) != 1:
            return
        yield following[0]
        following = takers.get(following[0].name, [])
