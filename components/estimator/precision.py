"""Prediction in bfloat16: faster where the processor has arithmetic for it, ages all but the same."""

from pathlib import Path
from typing import Literal

import keras
from keras import layers

from components.estimator.saved import Estimator

_POLICY = "mixed_bfloat16"
_ARITHMETIC = {"avx512_bf16", "amx_bf16"}
"""What a processor is said to have, in /proc/cpuinfo, that multiplies in bfloat16."""


Precision = Literal["float32", "bfloat16"]


def chosen(requested: Literal["auto"] | Precision, root: Path = Path("/")) -> Precision:
    """The precision that is requested; for `auto`, the one that this machine's processor predicts fastest in.

    Args:
        requested: of predictions.
        root: where /proc is.
    """
    if requested != "auto":
        return requested
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:  # no Linux
        lines = []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return "bfloat16" if _ARITHMETIC.intersection(flags) else "float32"


def in_bfloat16(estimator: Estimator) -> Estimator:
    """The same estimator with its feature maps in bfloat16; pixels, vectors and probabilities stay float32.

    The weights stay float32 too; products are rounded to eight bits, sums are not. On a trained estimator that moves ages by
    some hundredths of a year on average. A processor without such arithmetic (avx512_bf16, amx_bf16) takes longer, not less.
    """
    network = keras.models.clone_model(estimator.network, clone_function=_copy, recursive=True)
    network.set_weights(estimator.network.get_weights())
    return Estimator(network, estimator.size, estimator.age_bins, estimator.metadata, estimator.calibration)


def _copy(step: keras.Operation) -> keras.Operation:
    config = step.get_config()
    if isinstance(step, keras.Layer) and step.dtype_policy.name == "float32" and _gives_a_map(step):
        config["dtype"] = _POLICY
    return type(step).from_config(config)


def _gives_a_map(layer: keras.Layer) -> bool:
    """Whether features come out, and not pixels, a vector or probabilities."""
    of_pixels = isinstance(layer, layers.Rescaling | layers.Normalization)
    return len(layer.output.shape) == 4 and not of_pixels and not type(layer).__module__.startswith("components")
