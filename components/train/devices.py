"""What training runs on, and in which precision.

One device, several GPUs of a host, or several hosts: `strategy` finds out. Hosts are named as TensorFlow wants them, in
TF_CONFIG, one process a host with an output folder of its own; every process takes its share of each batch, all hold the same
weights, and the first one's artifact is the one to keep. Keras's `fit` does not run on several hosts (keras issue 20585); our own
loop does. On JAX it is one device or several GPUs of one host.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from components.estimator import backend
from components.train.hosts import HOSTS, JOB_INDEX
from schemas.error import VisageError

log = logging.getLogger("visage.train")

Strategy = Any
"""How devices share the work: a tf.distribute.Strategy; on JAX a keras.distribution.DataParallel."""


def strategy() -> Strategy:
    """How the devices that are there share the work. GPUs take memory as they need it; `CUDA_VISIBLE_DEVICES=` hides them.

    JAX has its own way with memory: XLA_PYTHON_CLIENT_PREALLOCATE and XLA_PYTHON_CLIENT_MEM_FRACTION say how much it takes.

    Raises:
        VisageError: TF_CONFIG cannot be read, the hosts' names and this one's number do not fit, or there are several hosts and
            JAX computes.
    """
    _set_tf_config()
    try:
        hosts = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {}).get("worker", [])
    except (ValueError, AttributeError) as error:
        raise VisageError(f"TF_CONFIG is not the JSON that TensorFlow wants: {error}", usage=True) from error
    if backend.name() == "jax":
        if len(hosts) > 1:
            raise VisageError(
                f"{len(hosts)} hosts are named, and KERAS_BACKEND is jax: only TensorFlow trains on several hosts.",
                "Unset KERAS_BACKEND; or train on one host, all GPUs of which JAX uses.",
                usage=True,
            )
        backend.leave_gpus_to_jax()
        return keras.distribution.DataParallel(devices=keras.distribution.list_devices())
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    if len(hosts) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


def count(shared: Strategy) -> int:
    """How many devices share a batch, of all hosts."""
    return shared.device_mesh.devices.size if backend.name() == "jax" else shared.num_replicas_in_sync


def _set_tf_config() -> None:
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


def described(shared: Strategy) -> str:
    """The devices in words."""
    if backend.name() == "jax":
        import jax

        return ", ".join(device.device_kind.replace("cpu", "CPU") for device in jax.devices()) + " (JAX)"
    import tensorflow as tf

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
    generations = _generations()
    if precision == "auto":
        weakest = min(generations, default=0)
        precision = "bfloat16" if weakest >= 8 else "float16" if weakest == 7 else "float32"
    elif precision != "float32" and not generations:
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


def _generations() -> list[int]:
    """The compute capability of every GPU, without what stands after the point; 0 for one that reports none, as AMD's."""
    if backend.name() == "jax":
        import jax

        capabilities = [str(getattr(gpu, "compute_capability", "")) for gpu in jax.devices() if gpu.platform != "cpu"]
        return [int(major) if (major := each.partition(".")[0]).isdecimal() else 0 for each in capabilities]
    import tensorflow as tf

    return [_details(gpu).get("compute_capability", (0, 0))[0] for gpu in tf.config.list_physical_devices("GPU")]


def _details(gpu: Any) -> dict:
    import tensorflow as tf

    return tf.config.experimental.get_device_details(gpu)
