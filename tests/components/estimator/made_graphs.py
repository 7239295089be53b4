"""Graphs of TensorFlow.js as its converter makes them of a MobileNet: batch normalisation folded, weights in few bits."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

Attributes = dict[str, Any]


def random_mobilenet(size: int = 32) -> keras.Model:
    """A MobileNet whose batch normalisation has statistics, factors and summands of its own, as a trained one's."""
    network = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(size, size, 3))
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.gamma.shape[0]
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, channels),
                    rng.normal(0, 0.5, channels),
                    rng.normal(0, 0.1, channels),
                    rng.uniform(0.05, 0.2, channels),
                ]
            )
    return network


def write_graph(path: Path, network: keras.Model, stored: str = "float32", fused: bool = False) -> Path:
    """Write the graph of a MobileNet under the heads of two tasks, with two files of weights.

    Args:
        path: of the JSON file.
        network: without classifier.
        stored: the type of the weights in the files: float32, float16, uint16 or uint8.
        fused: bias and activation are within the convolutions, as newer converters have it.
    """
    graph = _Writer(path, stored)
    at = graph.node("input_1", "Placeholder", (), {"dtype": {"type": "DT_FLOAT"}})
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            at = graph.convolution(at, layer, network.get_layer(f"{layer.name}_bn"), fused)
    pooled = graph.node("global_pooling/Mean", "Mean", (at, graph.constant("axes", np.array([1, 2], np.int32))))
    for task in ("age", "gender"):
        graph.node(task, "MatMul", (pooled, graph.constant(f"{task}/kernel", np.ones((1024, 2), np.float32))))
    return graph.written()


class _Writer:
    def __init__(self, path: Path, stored: str) -> None:
        self._path = path
        self._stored = stored
        self._nodes: list[Attributes] = []
        self._weights: list[Attributes] = []
        self._bytes: list[bytes] = []

    def node(self, name: str, op: str, inputs: Iterable[str], attributes: Attributes | None = None) -> str:
        self._nodes.append({"name": name, "op": op, "input": list(inputs), "attr": attributes or {}})
        return name

    def constant(self, name: str, values: np.ndarray) -> str:
        entry: Attributes = {"name": name, "shape": list(values.shape), "dtype": str(values.dtype)}
        if values.dtype == np.float32 and self._stored == "float16":
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
            values = values.astype(np.float16)
        elif values.dtype == np.float32 and self._stored != "float32":
            low, steps = float(values.min()), np.iinfo(self._stored).max
            scale = float(values.max() - low) / steps or 1.0
            entry["quantization"] = {"dtype": self._stored, "min": low, "scale": scale, "original_dtype": "float32"}
            values = np.round((values - low) / scale).astype(self._stored)
        self._weights.append(entry)
        self._bytes.append(values.tobytes())
        return self.node(name, "Const", ())

    def convolution(self, at: str, layer: keras.Layer, norm: keras.Layer, fused: bool) -> str:
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        shift, kernel = beta - mean * scale, np.asarray(layer.kernel)
        depthwise, name = isinstance(layer, keras.layers.DepthwiseConv2D), layer.name
        if fused or not depthwise:
            kernel = kernel * (scale[:, None] if depthwise else scale)
        strides: Attributes = {"strides": {"list": {"i": ["1", *map(str, layer.strides), "1"]}}}
        weights = self.constant(f"{name}/kernel", kernel)
        if fused:
            bias = self.constant(f"{name}/bias", shift)
            return self.node(
                name, "FusedDepthwiseConv2dNative" if depthwise else "_FusedConv2D", (at, weights, bias), strides
            )
        at = self.node(name, "DepthwiseConv2dNative" if depthwise else "Conv2D", (at, weights), strides)
        if depthwise:
            at = self.node(f"{name}/mul_1", "Mul", (at, self.constant(f"{name}/mul", scale)))
        at = self.node(f"{name}/add_1", "Add", (at, self.constant(f"{name}/sub", shift)))
        at = self.node(f"{name}/Relu", "Relu", (at,))
        at = self.node(f"{name}/Minimum", "Minimum", (at, self.constant(f"{name}/six", np.array(6, np.float32))))
        return self.node(f"{name}/clip", "Maximum", (at, self.constant(f"{name}/zero", np.array(0, np.float32))))

    def written(self) -> Path:
        """The JSON file; the bytes are parted in the middle of some weights."""
        data = b"".join(self._bytes)
        names = [f"{self._path.stem}-shard{number}of2.bin" for number in (1, 2)]
        for name, part in zip(names, (data[:1001], data[1001:]), strict=True):
            (self._path.parent / name).write_bytes(part)
        manifest = [{"paths": names, "weights": self._weights}]
        graph = {"format": "graph-model", "modelTopology": {"node": self._nodes}, "weightsManifest": manifest}
        self._path.write_text(json.dumps(graph))
        return self._path
