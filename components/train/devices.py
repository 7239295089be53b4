"""What training runs on."""

import tensorflow as tf


def prepare() -> str:
    """Let GPUs take memory as they need it; name what was found. `CUDA_VISIBLE_DEVICES=` hides them."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        return "CPU"
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    return ", ".join(names)
