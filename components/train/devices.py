"""What training runs on, and in which precision."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

log = logging.getLogger("visage.train")


def prepare() -> str:
    """Let GPUs take memory as they need it; name what was found. `CUDA_VISIBLE_DEVICES=` hides them."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return ", ".join(str(_details(gpu).get("device_name", gpu.name)) for gpu in gpus) or "CPU"


def policy(precision: str) -> str:
    """The Keras dtype policy of a precision, for the devices that are there.

    `auto` takes bfloat16 from compute capability 8 on (Ampere), float16 from 7 on (Volta), whose matrix units are made for
    them, and float32 elsewhere: processors mostly emulate the short formats and are slower with them.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if precision == "auto":
        generations = [_details(gpu).get("compute_capability", (0, 0))[0] for gpu in gpus]
        weakest = min(generations, default=0)
        precision = "bfloat16" if weakest >= 8 else "float16" if weakest == 7 else "float32"
    elif precision != "float32" and not gpus:
        log.warning("train.precision is %s on a CPU, where it is slower than float32 as a rule", precision)
    return precision if precision == "float32" else f"mixed_{precision}"


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers that are made meanwhile work by this dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _details(gpu: tf.config.PhysicalDevice) -> dict:
    return tf.config.experimental.get_device_details(gpu)
