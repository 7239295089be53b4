"""Schedule, moving average, checkpoints."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.train import checkpoint
from components.train.optimizer import Average, Schedule, optimizer
from components.train.settings import OptimizerSettings


def test_the_rate_rises_then_falls_along_a_cosine_to_nothing():
    rate = Schedule(0.1, "cosine", warmup=10, steps=110)
    assert float(rate(tf.constant(0))) == pytest.approx(0.01)
    assert float(rate(tf.constant(10))) == pytest.approx(0.1)
    assert float(rate(tf.constant(60))) == pytest.approx(0.05)
    assert float(rate(tf.constant(110))) == pytest.approx(0, abs=1e-7)


def test_a_constant_rate_stays():
    rate = Schedule(0.1, "constant", warmup=0, steps=10)
    assert float(rate(tf.constant(0))) == float(rate(tf.constant(9))) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop"])
def test_every_optimizer_takes_a_downward_step(name):
    variable = keras.Variable([1.0])
    keras_optimizer = optimizer(OptimizerSettings(name=name, warmup_epochs=0, learning_rate=0.01), 10, 5)
    keras_optimizer.apply_gradients([(tf.constant([2.0]), variable)])
    assert variable.numpy()[0] < 1


def test_gradients_are_clipped_together():
    variable = keras.Variable([0.0, 0.0])
    settings = OptimizerSettings(
        name="sgd", momentum=0, learning_rate=1, warmup_epochs=0, schedule="constant", clip_norm=5
    )
    optimizer(settings, 10, 5).apply_gradients([(tf.constant([30.0, 40.0]), variable)])
    np.testing.assert_allclose(variable.numpy(), [-3, -4], rtol=1e-5)


def test_weight_decay_spares_biases():
    kernel, bias = keras.Variable([1.0], name="kernel"), keras.Variable([1.0], name="bias")
    keras_optimizer = optimizer(OptimizerSettings(weight_decay=0.1, learning_rate=0.1, warmup_epochs=0), 10, 5)
    keras_optimizer.build([kernel, bias])
    keras_optimizer.apply_gradients([(tf.constant([0.0]), kernel), (tf.constant([0.0]), bias)])
    assert kernel.numpy()[0] < 1
    assert bias.numpy()[0] == 1


def net():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.Dropout(0.5)])


def test_the_average_starts_at_the_weights_and_follows_them():
    followed = net()
    average = Average(followed, net(), decay=0.9)
    start = followed.variables[0].numpy()
    np.testing.assert_array_equal(average.model.variables[0].numpy(), start)
    followed.variables[0].assign(start + 10)
    average.update(tf.constant(1000))
    np.testing.assert_allclose(average.model.variables[0].numpy(), start + 1, atol=1e-5)


def test_the_average_of_the_first_steps_follows_closely():
    followed = net()
    average = Average(followed, net(), decay=0.999)
    start = followed.variables[0].numpy()
    followed.variables[0].assign(start + 11)
    average.update(tf.constant(1))
    np.testing.assert_allclose(average.model.variables[0].numpy(), start + 9, atol=1e-5)


def test_a_checkpoint_brings_back_weights_and_state(tmp_path):
    first, second = net(), net()
    checkpoint.write(tmp_path / "c.npz", {"model": first.variables}, {"history": [{"epoch": 1}]})
    assert checkpoint.read(tmp_path / "c.npz", {"model": second.variables}) == {"history": [{"epoch": 1}]}
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"]


def test_no_checkpoint_is_no_error(tmp_path):
    assert checkpoint.read(tmp_path / "c.npz", {}) is None


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"text"])
def test_a_damaged_checkpoint_is_an_error(tmp_path, damage):
    path = tmp_path / "c.npz"
    checkpoint.write(path, {"model": net().variables}, {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="cannot be read"):
        checkpoint.read(path, {"model": net().variables})


def test_a_checkpoint_of_another_model_is_an_error(tmp_path):
    path = tmp_path / "c.npz"
    checkpoint.write(path, {"model": net().variables[:1]}, {})
    with pytest.raises(ValueError):
        checkpoint.read(path, {"model": net().variables})
