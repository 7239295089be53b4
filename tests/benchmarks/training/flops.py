"""What a network computes, and what cards can."""

import math
import re

import keras

PEAKS = {
    "H200": (989e12, 495e12),
    "H100 PCIe": (756e12, 378e12),
    "H100 NVL": (835e12, 417e12),
    "H100": (989e12, 495e12),
    "A100": (312e12, 156e12),
    "L40S": (362e12, 183e12),
    "L40": (181e12, 90.5e12),
    "L4": (121e12, 60e12),
    "A10": (125e12, 62.5e12),
    "V100": (125e12, 15.7e12),
    "T4": (65e12, 8.1e12),
}
"""FLOP/s by what the card is called: with 16-bit floats, and with float32, for which XLA takes TF32 where the card has it.

Dense, with float32 sums; from NVIDIA's data sheet of each card (those tell twice as much from Ampere on: with sparsity). A longer
name stands before the one it begins with; an A10G is no A10, nor an RTX A1000 an A100.
"""


def peak(card: str, precision: str) -> float | None:
    """Of a card by its name, in FLOP/s; None for one that is not in the table."""
    peaks = next((both for name, both in PEAKS.items() if re.search(rf"\b{name}\b", card)), None)
    return peaks[precision == "float32"] if peaks else None


def forward_flops(network: keras.Model) -> float:
    """Of one image; a multiplication and an addition count as two. Convolutions and dense layers, which are all but all of it."""
    total = 0.0
    for layer in network._flatten_layers(include_self=False):
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            positions = math.prod(side for side in layer.output.shape[1:-1] if side)
            total += 2 * math.prod(kernel.shape) * positions
    return total
