"""Several devices and several hosts train what one device would have trained with the whole batch."""

import csv
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.step import StepContext
from components.train import STEP, devices
from components.train.settings import AugmentSettings
from schemas.error import VisageError
from tests import preloaded
from tests.components.train.drawn_faces import write_examples

SETTINGS: dict[str, dict[str, Any]] = {
    "estimator": {"size": 16, "backbone": {"width": 4, "blocks": [1, 1]}, "trunk": {"dropout": 0}},
    "train": {
        "epochs": 2,
        "batch_size": 16,
        "average": 0,
        "augment": dict.fromkeys(AugmentSettings.model_fields, 0),
        "optimizer": {
            "name": "sgd",
            "clip_norm": 5,
            "learning_rate": 2e-3,
            "warmup_epochs": 0,
            "schedule": "constant",
        },
    },
}


def train(examples: Path, output: Path, settings: dict[str, Any], devices: int) -> None:
    """Train in this process, which has not used TensorFlow yet, on processors that count as so many devices."""
    if devices > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    STEP.run(STEP.settings.model_validate(settings), StepContext({"ingest": examples}, output))


def start(examples: Path, output: Path, devices: int = 1, settings=SETTINGS, **environment: str) -> Any:
    output.mkdir()
    variables = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""} | environment
    return preloaded.start(train, (examples, output, settings, devices), output, variables, log_of(output))


def log_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.said")


def losses(process: Any, output: Path) -> list[float]:
    process.join(500)
    assert process.exitcode == 0, log_of(output).read_text()
    return read_losses(output)


def read_losses(output: Path) -> list[float]:
    rows = csv.DictReader((output / "history.csv").open())
    return [float(row[name]) for row in rows for name in ("loss", "val_loss")]


@pytest.fixture(scope="module")
def alone(uneven, tmp_path_factory):
    output = tmp_path_factory.mktemp("alone")
    STEP.run(STEP.settings.model_validate(SETTINGS), StepContext({"ingest": uneven}, output))
    return read_losses(output)


@pytest.mark.slow
def test_two_devices_reach_the_losses_of_one(uneven, alone, tmp_path):
    assert losses(start(uneven, tmp_path / "out", devices=2), tmp_path / "out") == pytest.approx(alone, rel=1e-4)


def start_hosts(examples: list[Path], folder: Path, settings=SETTINGS, named=None) -> list[Any]:
    """A process a host, on this machine, each with its own examples and the output folder `host` and its number."""
    ports = []
    for _ in examples:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            ports.append(listener.getsockname()[1])
    hosts = [f"127.0.0.1:{port}" for port in ports]
    named = named or with_tf_config
    return [
        start(host_examples, folder / f"host{number}", settings=settings, **named(hosts, number))
        for number, host_examples in enumerate(examples)
    ]


def with_tf_config(hosts: list[str], number: int) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": number}})}


def as_an_indexed_job(hosts: list[str], number: int) -> dict[str, str]:
    """What Kubernetes gives to a pod of an indexed Job, and the Job's manifest."""
    return {devices.JOB_INDEX: str(number), devices.HOSTS: ",".join(hosts)}


@pytest.mark.slow
@pytest.mark.parametrize("named", [with_tf_config, as_an_indexed_job])
def test_two_hosts_reach_the_losses_of_one(uneven, alone, tmp_path, named):
    for number, host in enumerate(start_hosts([uneven, uneven], tmp_path, named=named)):
        assert losses(host, tmp_path / f"host{number}") == pytest.approx(alone, rel=1e-4)


@pytest.mark.slow
def test_hosts_decide_alike_when_to_stop_and_which_weights_to_keep(tmp_path):
    """They see other figures: their validation splits are not the same. Those of the first one decide."""
    examples = [write_examples(tmp_path / f"of{count}", {"train": 64, "validation": count}) for count in (32, 9)]
    changed = {
        "epochs": 12,
        "stop": {"patience": 1},
        "optimizer": SETTINGS["train"]["optimizer"] | {"learning_rate": 0.05},
    }
    settings = SETTINGS | {"train": SETTINGS["train"] | changed}
    hosts = start_hosts(examples, tmp_path, settings)
    host_losses = [losses(host, tmp_path / f"host{number}") for number, host in enumerate(hosts)]
    assert host_losses[0] == host_losses[1]
    assert len(host_losses[0]) < 2 * 12, "one was better than the next, and both stopped"
    best_epochs = [
        json.loads((tmp_path / f"host{number}" / "counts.json").read_text())["best_epoch"] for number in range(2)
    ]
    assert best_epochs[0] == best_epochs[1]


def test_one_device_needs_no_strategy():
    if len(tf.config.list_logical_devices("GPU")) > 1:
        pytest.skip("there are several GPUs")
    assert devices.strategy().num_replicas_in_sync == 1


def test_a_cluster_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "worker0:2222")
    with pytest.raises(VisageError, match="TF_CONFIG"):
        devices.strategy()


@pytest.mark.parametrize("index", [None, "2", "-1", "first"])
def test_a_pod_that_is_none_of_the_hosts_is_told_so(monkeypatch, index):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setenv(devices.HOSTS, "train-0.train:2222,train-1.train:2222")
    monkeypatch.delenv(devices.JOB_INDEX, raising=False)
    if index is not None:
        monkeypatch.setenv(devices.JOB_INDEX, index)
    with pytest.raises(VisageError, match="names 2 hosts"):
        devices.strategy()


def test_precision_suits_the_device(monkeypatch, caplog):
    def gpus(generation):
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
        monkeypatch.setattr(devices, "_details", lambda gpu: {"compute_capability": (generation, 0)})

    gpus(9)
    assert devices.policy("auto") == "mixed_bfloat16"
    gpus(7)
    assert devices.policy("auto") == "mixed_float16"
    gpus(6)
    assert devices.policy("auto") == "float32"
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert devices.policy("auto") == "float32"
    assert not caplog.text
    assert devices.policy("bfloat16") == "mixed_bfloat16"
    assert "slower" in caplog.text
