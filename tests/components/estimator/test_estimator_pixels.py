"""Pixels: what the backbone sees of a face."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.estimator import pixels
from components.estimator.settings import PixelSettings
from schemas.error import VisageError


def faces(count: int = 4, side: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.float32)


def model_inputs(images: np.ndarray, published: str = "signed", **settings) -> np.ndarray:
    image = keras.Input(images.shape[1:])
    return keras.Model(image, pixels.values(image, PixelSettings(**settings), published))(images).numpy()


def test_a_jpeg_of_the_input_size_is_what_pillow_reads():
    buffer = io.BytesIO()
    Image.fromarray(faces(1, 32)[0].astype(np.uint8)).save(buffer, "JPEG", quality=90)
    ours = pixels.decode(tf.constant(buffer.getvalue()), 32).numpy().astype(int)
    assert np.abs(ours - np.asarray(Image.open(buffer))).max() <= 1


def test_a_larger_face_is_averaged_not_sampled():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    inside = pixels.resize(tf.constant(stripes), 16).numpy()[2:-2, 2:-2]
    assert 120 <= inside.min() <= inside.max() <= 135


@pytest.mark.parametrize("side", [9, 16, 40])
def test_faces_of_one_size_go_through_together_and_come_out_as_each_by_itself(side):
    several = tf.constant(faces(5, side).astype(np.uint8))
    np.testing.assert_array_equal(pixels.resize(several, 16), [pixels.resize(face, 16) for face in several])


def test_a_smaller_face_is_blown_up():
    assert pixels.resize(tf.zeros([9, 9, 3], tf.uint8), 16).shape == (16, 16, 3)


@pytest.mark.parametrize(("scaling", "low", "high"), [("unit", 0, 1), ("signed", -1, 1), ("raw", 0, 255)])
def test_scalings_have_their_range(scaling, low, high):
    ends = np.stack([np.zeros((16, 16, 3)), np.full((16, 16, 3), 255)]).astype(np.float32)
    values = model_inputs(ends, scaling=scaling)
    assert values.min() == pytest.approx(low, abs=1e-5)
    assert values.max() == pytest.approx(high, abs=1e-5)


@pytest.mark.parametrize(("scaling", "mode"), [("caffe", "caffe"), ("imagenet", "torch"), ("signed", "tf")])
def test_scalings_are_those_that_published_weights_were_trained_with(scaling, mode):
    expected = keras.applications.imagenet_utils.preprocess_input(faces(), mode=mode)
    np.testing.assert_allclose(model_inputs(faces(), scaling=scaling), expected, atol=1e-3)


def test_auto_takes_the_scaling_of_the_backbone():
    np.testing.assert_allclose(model_inputs(faces(), published="unit"), faces() / 255, atol=1e-6)


def test_grey_is_pillows_luminance():
    expected = np.asarray(Image.fromarray(faces()[0].astype(np.uint8)).convert("L"), np.float32)
    np.testing.assert_allclose(model_inputs(faces()[:1], colour="grey", scaling="raw")[0, ..., 0], expected, atol=1)


def test_standardised_faces_have_mean_0_and_deviation_1():
    values = model_inputs(faces() / 3 + 50, standardise=True)
    np.testing.assert_allclose(values.mean((1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(values.std((1, 2, 3)), 1, atol=1e-3)
    even = model_inputs(np.full((1, 16, 16, 3), 70, np.float32), standardise=True)
    np.testing.assert_allclose(even, 0, atol=1e-3)


def white_model(side: int = 6, epsilon: float = 1e-4) -> keras.Model:
    image = keras.Input((side, side, 3))
    settings = PixelSettings(scaling="unit", whiten=True, whiten_epsilon=epsilon)
    return keras.Model(image, pixels.values(image, settings, "unit"))


def correlated(count: int, side: int = 6) -> np.ndarray:
    coarse = np.random.default_rng(3).uniform(0, 255, (count, 2, 2, 3))
    noise = np.random.default_rng(4).normal(0, 20, (count, side, side, 3))
    return (tf.image.resize(coarse, (side, side)).numpy() + noise).clip(0, 255).astype(np.float32)


def test_whitened_pixels_have_no_correlation():
    images, model = correlated(4000), white_model()
    pixels.fit(model, [images[:1500], images[1500:]])
    rows = model(images).numpy().reshape(len(images), -1)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-2)
    np.testing.assert_allclose(np.cov(rows.T), np.eye(rows.shape[1]), atol=0.1)
    before = np.corrcoef(images.reshape(len(images), -1).T)
    assert np.abs(before - np.eye(len(before))).max() > 0.5


def test_whitening_stays_as_near_to_the_pixels_as_can_be():
    images, model = correlated(4000), white_model()
    pixels.fit(model, [images])
    matrix = model.layers[-1].matrix.numpy()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-2)  # ZCA is the symmetric one of all whitenings


def test_whitening_is_kept_with_the_model(tmp_path):
    images, model = correlated(500), white_model()
    pixels.fit(model, [images])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(images).numpy(), model(images).numpy(), atol=1e-5)


def test_a_covariance_beyond_memory_is_refused(monkeypatch):
    monkeypatch.setattr(pixels, "free_memory", lambda: 1_000_000)
    with pytest.raises(VisageError, match="covariance of 3072 x 3072"):
        white_model(side=32)


def test_without_whitening_nothing_is_fitted():
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, pixels.values(image, PixelSettings(), "unit"))
    pixels.fit(model, iter(lambda: pytest.fail("the batches were read"), None))
