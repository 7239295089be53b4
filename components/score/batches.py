"""Faces of any size, many at once, as the squares that the estimator sees."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from components.estimator import pixels


def squares(faces: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Faces, uint8 [height, width, 3] of any sizes, resized by the estimator's own function, uint8 [N, size, size, 3].

    Faces of one size go through it together: a call from Python for each would take longer than the resizing itself.
    """
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, face in enumerate(faces):
        alike[face.shape].append(place)
    resized = np.empty((len(faces), size, size, 3), np.uint8)
    for places in alike.values():
        resized[places] = _resize(size)(np.stack([faces[place] for place in places])).numpy()
    return resized


@cache
def _resize(size: int) -> Any:
    return tf.function(
        lambda faces: pixels.resize(faces, size), input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)]
    )
