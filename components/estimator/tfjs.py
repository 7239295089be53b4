"""Graph models of TensorFlow.js: a JSON file with the graph, and files of weights beside it. Read without TensorFlow.js.

The format is that of tensorflowjs_converter: `modelTopology` is a frozen TensorFlow graph as JSON; `weightsManifest` names groups
of files whose bytes, one after the other, hold the weights in the order in which it lists them.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.storage.names import way_out
from schemas.error import VisageError

_STORED = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint16": "<u2", "uint8": "u1", "bool": "u1"}
"""Types of weights as they lie in the files."""


@dataclass(frozen=True)
class Node:
    """An operation of the graph.

    Attributes:
        name: within the graph.
        op: what it does, as TensorFlow calls it.
        inputs: names of the nodes whose outputs it takes.
        attributes: its settings, as JSON of protobuf has them: texts are in base64.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """A graph with its weights.

    Attributes:
        nodes: in the order of the file.
        weights: of the nodes that are constants, by their names.
    """

    nodes: Sequence[Node]
    weights: Mapping[str, np.ndarray]


def read(path: Path) -> Graph:
    """The graph of a JSON file, with the weights of the files beside it.

    Raises:
        VisageError: it is no graph model, or its weights are missing, cut short or of a kind that is not known.
    """
    with _explained(path):
        document = json.loads(path.read_bytes())
        nodes = [
            Node(
                node["name"],
                node["op"],
                tuple(name.split(":")[0] for name in node.get("input", ()) if not name.startswith("^")),
                node.get("attr", {}),
            )
            for node in document["modelTopology"]["node"]
        ]
        weights: dict[str, np.ndarray] = {}
        for group in document["weightsManifest"]:
            weights |= _weights(group["weights"], b"".join(_shard(path, name) for name in group["paths"]), path)
    return Graph(nodes, weights)


def files(path: Path) -> list[str]:
    """Names of the files of weights that a JSON file has beside it.

    Raises:
        VisageError: it is no graph model.
    """
    with _explained(path):
        return [name for group in json.loads(path.read_bytes())["weightsManifest"] for name in group["paths"]]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what goes wrong in reading a file into a message about it."""
    try:
        yield
    except OSError as error:
        weights_of_it = "" if error.filename == str(path) else f"names the file of weights {error.filename}, which "
        raise VisageError(
            f"{path} {weights_of_it}cannot be read: {error.strerror}.",
            "A graph model is a JSON file with its files of weights beside it.",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VisageError(
            f"{path} is no graph model of TensorFlow.js: {type(error).__name__}: {error}.",
            "It wants the JSON file of one, with `modelTopology` and `weightsManifest`; layers models are not read.",
        ) from error


def _shard(path: Path, name: str) -> bytes:
    """One of the files of weights.

    Raises:
        ValueError: it would lie elsewhere.
    """
    wrong = way_out(name)
    if wrong:
        raise ValueError(f"of the file of weights {name!r}, {wrong}")
    return (path.parent / name).read_bytes()


def _weights(entries: Sequence[Mapping[str, Any]], data: bytes, path: Path) -> dict[str, np.ndarray]:
    """The weights of a group of files, from their bytes.

    Raises:
        VisageError: there are fewer or more bytes than the weights take.
        ValueError: weights are of a type that is not known.
    """
    weights, start = {}, 0
    for entry in entries:
        stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
        if stored not in _STORED:
            raise ValueError(f"the weights {entry['name']} are of type {stored}")
        if any(side < 0 for side in entry["shape"]):
            raise ValueError(f"the weights {entry['name']} are of shape {entry['shape']}")
        count, kind = math.prod(entry["shape"]), np.dtype(_STORED[stored])
        end = start + count * kind.itemsize
        if end <= len(data):
            values = np.frombuffer(data, kind, count, start).reshape(entry["shape"])
            weights[entry["name"]] = _dequantized(values, entry)
        start = end
    if start != len(data):
        raise VisageError(
            f"The weights of {path} are {len(data):,} bytes where {start:,} are expected.",
            "A file of weights was cut short, or is of another model: fetch them anew.",
        )
    return weights


def _dequantized(values: np.ndarray, entry: Mapping[str, Any]) -> np.ndarray:
    """Weights that were stored in few bits, as what they stand for; float16 as float32."""
    quantization = entry.get("quantization", {})
    if "scale" in quantization:
        values = values * np.float32(quantization["scale"]) + np.float32(quantization["min"])
    return values.astype({"float32": np.float32, "int32": np.int32, "bool": np.bool_}[entry["dtype"]])
