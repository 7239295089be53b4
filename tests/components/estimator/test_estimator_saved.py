"""The estimator's artifact: what is saved predicts the same when it is loaded, from any kind of picture."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from components.estimator import heads, model, saved
from components.estimator.settings import EstimatorSettings
from schemas.error import VisageError

SMALL = EstimatorSettings.model_validate({"size": 32, "backbone": {"width": 4, "blocks": [1, 1]}})


def picture(side: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC))


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "estimator"
    saved.save(model.build(SMALL), SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def estimator(folder):
    return saved.load(folder)


def test_encoded_and_decoded_faces_of_mixed_sizes_are_told_the_same(estimator):
    encoded = [jpeg(picture(side, seed=side)) for side in (20, 32, 57, 128, 200)]
    decoded = [np.asarray(Image.open(io.BytesIO(data))) for data in encoded]
    np.testing.assert_allclose(estimator.predict_jpegs(encoded).age, estimator.predict_images(decoded).age, atol=0.05)


def test_predictions_do_not_depend_on_the_batch_they_come_in(estimator):
    encoded = [jpeg(picture(40, seed)) for seed in range(saved.BATCH + 3)]
    together = estimator.predict_jpegs(encoded)
    assert len(together) == len(encoded)
    np.testing.assert_allclose(together.age[-1:], estimator.predict_jpegs(encoded[-1:]).age, atol=1e-3)


def test_a_loaded_estimator_predicts_as_the_trained_one_did(folder, tmp_path):
    trained = model.build(SMALL)
    saved.save(trained, SMALL, tmp_path / "other")
    pixels = picture(32)
    outputs = {
        name: value.numpy() for name, value in model.inference(trained, SMALL)(pixels[None].astype("float32")).items()
    }
    expected = saved.interpret(outputs, heads.age_bins(SMALL.age))
    predictions = saved.load(tmp_path / "other").predict_images([pixels])
    np.testing.assert_allclose(predictions.age, expected.age, atol=1e-3)
    np.testing.assert_allclose(predictions.female, expected.female, atol=1e-5)


def test_with_the_mirror_image_an_estimator_says_the_mean_of_what_it_says_of_both(tmp_path):
    trained = model.build(SMALL)
    plain, mirror = tmp_path / "plain", tmp_path / "mirror"
    for folder in (plain, mirror):
        saved.save(trained, SMALL.model_copy(update={"mirror": folder == mirror}), folder)
    plain, mirror = saved.load(plain), saved.load(mirror)
    face, other = picture(32), picture(32)[:, ::-1]
    apart, mirrored = plain.predict_images([face, other]), mirror.predict_images([face, other])
    assert abs(apart.age[0] - apart.age[1]) > 1e-3
    np.testing.assert_allclose(mirrored.age, [apart.age.mean()] * 2, rtol=1e-5)
    np.testing.assert_allclose(mirrored.female, [apart.female.mean()] * 2, rtol=1e-5)


def test_no_faces_give_no_predictions(estimator):
    assert len(estimator.predict_jpegs([])) == len(estimator.predict_images([])) == 0
    assert estimator.predict_jpegs([]).age_class.dtype == np.int32


def test_a_file_that_is_no_picture_is_a_clear_error(estimator):
    with pytest.raises(ValueError, match="one of 2 pictures cannot be decoded"):
        estimator.predict_jpegs([jpeg(picture(32)), b"no picture"])


def test_a_certain_distribution_has_its_age_and_a_narrow_interval():
    age_bins = heads.age_bins(SMALL.age)
    shares = np.zeros((1, 101), np.float32)
    shares[0, 30] = 1
    predictions = saved.interpret({"age": shares, "female": np.array([[0.9]])}, age_bins)
    assert predictions.age[0] == 30
    assert 29.5 <= predictions.age_low[0] < 30 < predictions.age_high[0] <= 30.5
    assert predictions.age_std[0] == pytest.approx(np.sqrt(1 / 12))
    assert predictions.female[0] == pytest.approx(0.9)


def test_an_even_distribution_has_the_mean_and_percentiles_of_one():
    predictions = saved.interpret({"age": np.full((1, 101), 1 / 101, np.float32)}, heads.age_bins(SMALL.age))
    assert predictions.age[0] == pytest.approx(50)
    assert predictions.age_low[0] == pytest.approx(-0.5 + 0.05 * 101, abs=1e-3)
    assert predictions.age_high[0] == pytest.approx(-0.5 + 0.95 * 101, abs=1e-3)
    assert np.isnan(predictions.female[0])


def test_a_folder_without_an_estimator_is_named(tmp_path):
    with pytest.raises(VisageError, match="holds no estimator"):
        saved.load(tmp_path)


def test_a_damaged_model_file_is_named(folder, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / saved.METADATA).write_bytes((folder / saved.METADATA).read_bytes())
    (damaged / saved.MODEL).write_bytes((folder / saved.MODEL).read_bytes()[:1000])
    with pytest.raises(VisageError, match="holds no estimator"):
        saved.load(damaged)


def test_an_estimator_of_a_newer_format_is_refused(folder, tmp_path):
    newer = tmp_path / "newer"
    newer.mkdir()
    meaning = json.loads((folder / saved.METADATA).read_text())
    (newer / saved.METADATA).write_text(json.dumps(meaning | {"format": saved.FORMAT + 1}))
    with pytest.raises(VisageError, match="format"):
        saved.load(newer)


def test_code_smuggled_into_a_model_file_is_not_run(folder, tmp_path):
    import keras

    image = keras.Input((32, 32, 3))
    keras.Model(image, {"age": keras.layers.Lambda(lambda x: x[:, 0, 0])(image)}).save(tmp_path / saved.MODEL)
    (tmp_path / saved.METADATA).write_bytes((folder / saved.METADATA).read_bytes())
    with pytest.raises(VisageError, match="holds no estimator"):
        saved.load(tmp_path)
