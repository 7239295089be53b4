"""What training runs on, and in which precision.

One device, several GPUs of a host, or several hosts: `strategy` finds out. Hosts are named as TensorFlow wants them, in
TF_CONFIG, one process a host with an output folder of its own; every process takes its share of each batch, all hold the same
weights, and the first one's artifact is the one to keep. Keras's `fit` does not run on several hosts (keras issue 20585); our own
loop does.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from components.train.hosts import HOSTS, JOB_INDEX
from schemas.error import VisageError

log = logging.getLogger("visage.train")


def strategy() -> tf.distribute.Strategy:
    """How the devices that are there share the work. GPUs take memory as they need it; `CUDA_VISIBLE_DEVICES=` hides them.

    Raises:
        VisageError: TF_CONFIG cannot be read, or the hosts' names and this one's number do not fit.
    """
    _take_number_of_job()
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    try:
        hosts = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {}).get("worker", [])
    except (ValueError, AttributeError) as error:
        raise VisageError(f"TF_CONFIG is not the JSON that TensorFlow wants: {error}", usage=True) from error
    if len(hosts) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


def _take_number_of_job() -> None:
    """Set TF_CONFIG where it is not set and the hosts are named; this one is known by its number in the Job."""
    if os.environ.get("TF_CONFIG") or not os.environ.get(HOSTS):
        return
    hosts = [host.strip() for host in os.environ[HOSTS].split(",")]
    index = os.environ.get(JOB_INDEX, "")
    if not index.isdecimal() or int(index) >= len(hosts):
        raise VisageError(
            f"{HOSTS} names {len(hosts)} hosts, and {JOB_INDEX} is {index or 'not set'}: which one is this?",
            f"Run it as an indexed Job of {len(hosts)} completions, or set TF_CONFIG.",
            usage=True,
        )
    task = {"type": "worker", "index": int(index)}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": hosts}, "task": task})


def described(shared: tf.distribute.Strategy) -> str:
    """The devices in words."""
    gpus = tf.config.list_physical_devices("GPU")
    names = ", ".join(str(_details(gpu).get("device_name", gpu.name)) for gpu in gpus) or "CPU"
    cluster = shared.cluster_resolver
    if not cluster:
        return names
    return f"{names} (host {cluster.task_id + 1} of {cluster.cluster_spec().num_tasks('worker')})"


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
