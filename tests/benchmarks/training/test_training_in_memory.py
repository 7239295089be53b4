"""What the GPU benchmark does without TensorFlow is what training does with it."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("jax", reason="JAX is not installed: pip install 'visage[jax]'")

from components.estimator import heads, model, pixels
from components.estimator.settings import AgeSettings, EstimatorSettings
from components.train import augment
from components.train.settings import AugmentSettings
from schemas.example import FaceExample
from schemas.record import FEMALE, MALE
from tests import without_tensorflow
from tests.benchmarks.training import flops, in_memory
from tests.components.train.drawn_faces import drawn

EVERYTHING = AugmentSettings(rotation=20, zoom=0.2, shift=0.1, shear=10, erase=0.3)


def example(age: int, gender: str, jpeg: bytes) -> FaceExample:
    return FaceExample(jpeg, 40, 40, "drawn:1", "drawn", "1.jpg", "0" * 64, age, None, gender)


def photos(count: int) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 255, (count, 6, 6, 3))
    return tf.image.resize(noise, (40, 40), "bicubic").numpy().clip(0, 255).astype(np.uint8)


def test_the_same_numbers_change_faces_alike():
    images, numbers = photos(64), np.random.default_rng(1).uniform(-1, 1, (11, 64)).astype(np.float32)
    moved = augment._moved(tf.constant(images), tf.constant(numbers[:6]), EVERYTHING)
    level = tf.reduce_mean(tf.cast(moved, tf.float32), axis=(1, 2, 3))
    wanted = augment._painted(moved, level, tf.constant(numbers[6:]), EVERYTHING).numpy().astype(int)
    apart = np.abs(np.asarray(in_memory.augmented(images, numbers, EVERYTHING)).astype(int) - wanted)
    assert (apart > 1).mean() < 1e-4
    assert np.abs(wanted - images).mean() > 20


def test_faces_are_decoded_as_the_estimator_does():
    rng = np.random.default_rng(0)
    examples = [example(age, (FEMALE, MALE)[age % 2], drawn(age, FEMALE, rng)) for age in range(0, 100, 9)]
    faces = in_memory.decoded(examples, 64, AgeSettings())
    wanted = np.stack([pixels.decode(tf.constant(face.jpeg), 64) for face in examples])
    assert np.abs(faces.images.astype(int) - wanted).max() <= 2
    np.testing.assert_array_equal(
        faces.labels["age_class"], heads.class_of(tf.constant(faces.labels["age"]), AgeSettings())
    )
    assert faces.labels["female"].tolist() == [face.gender == FEMALE for face in examples]


def test_an_epoch_has_every_face_once_a_pass_and_another_order_each_time():
    faces = in_memory.made_up(40, 8, AgeSettings())
    faces = in_memory.Faces(faces.images, {**faces.labels, "age": np.arange(40, dtype=np.float32)})
    still = AugmentSettings(**(dict.fromkeys(AugmentSettings.model_fields, 0) | {"flip": False}))
    source = in_memory.Drawn(faces, 8, still)
    batches = list(source.epoch(1, passes=2))
    ages = np.concatenate([np.asarray(labels["age"]) for _, labels in batches])
    assert sorted(ages[:40]) == sorted(ages[40:]) == list(range(40))
    assert ages[:40].tolist() != ages[40:].tolist()
    images, labels = batches[0]
    np.testing.assert_array_equal(images, faces.images[np.asarray(labels["age"]).astype(int)])


def test_arithmetic_is_counted_as_papers_do():
    """ResNet-50 has 3.8e9 multiplications at 224 pixels (He et al., table 1, with the classifier's 2e6)."""
    resnet = EstimatorSettings.model_validate({"size": 224, "backbone": {"kind": "resnet50"}})
    assert flops.forward_flops(model.build(resnet)) / 2 == pytest.approx(3.86e9, rel=0.01)


def test_the_peak_is_that_of_the_card_and_the_precision():
    assert flops.peak("NVIDIA H100 80GB HBM3", "bfloat16") == 989e12
    assert flops.peak("NVIDIA H100 PCIe", "bfloat16") == 756e12
    assert flops.peak("NVIDIA L40S", "float32") == 183e12
    assert flops.peak("NVIDIA A100-SXM4-80GB", "bfloat16") == 312e12
    assert flops.peak("NVIDIA A10", "bfloat16") == 125e12
    for other in ("NVIDIA GeForce GTX 1080", "NVIDIA A10G", "NVIDIA RTX A1000"):
        assert flops.peak(other, "float32") is None, other


@pytest.mark.slow
def test_the_whole_benchmark_runs_where_tensorflow_is_missing(tmp_path):
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for number in range(60):
            age, woman = int(rng.integers(0, 101)), number % 2
            archive.writestr(f"{age}_{woman}_0_{number}.jpg.chip.jpg", drawn(age, (MALE, FEMALE)[woman], rng))
    tiny = ["--rehearse", "--recipes", "default", "--precisions", "bfloat16", "--steps", "2", "--minutes", "0.02"]
    done = subprocess.run(
        [sys.executable, "tests/benchmarks/train_gpu.py", *tiny, "--quality", "--faces", str(tmp_path / "faces.zip")],
        env=without_tensorflow.environment(tmp_path),
        cwd=without_tensorflow.PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    (case,) = results["cases"]
    assert case["images_per_second"] > 0
    assert case["utilisation"] is None, "nobody states a peak of this processor"
    assert 0 < results["quality"]["mae"] < 100
    assert 0 <= results["quality"]["gender"] <= 1
