"""Backbones: every family builds, trains or stays frozen, and takes weights from where it is told."""

from urllib.error import URLError

import keras
import numpy as np
import pytest

from components.estimator import model, saved
from components.estimator.settings import EstimatorSettings
from schemas.error import VisageError

TINY = {"kind": "stack", "layers": [{"filters": 4, "pool": 4}]}


def estimator(**settings) -> EstimatorSettings:
    return EstimatorSettings.model_validate({"size": 32} | settings)


@pytest.mark.parametrize(
    "backbone",
    [
        {"kind": "residual", "width": 4},
        TINY,
        {"kind": "vgg16"},
        {"kind": "resnet50"},
        {"kind": "efficientnetv2"},
        {"kind": "mobilenetv3"},
        {"kind": "convnext"},
    ],
    ids=lambda backbone: backbone["kind"],
)
def test_every_family_gives_an_age_distribution_and_a_gender(backbone):
    settings = estimator(backbone=backbone)
    built = model.inference(model.build(settings), settings)
    outputs = built(np.full((2, 32, 32, 3), 99, np.float32))
    assert outputs["age"].shape == (2, 101)
    assert outputs["female"].shape == (2, 1)
    np.testing.assert_allclose(outputs["age"].numpy().sum(axis=1), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("age", "gender", "width"),
    [
        ({"loss": "cross_entropy", "edges": (30, 60)}, "softmax", 3),
        ({"head": "ordinal", "loss": "coral"}, "sigmoid", 101),
        ({"head": "ordinal", "loss": "or_cnn", "edges": (30,)}, "none", 2),
        ({"head": "regression", "loss": "squared_error"}, "sigmoid", 1),
    ],
)
def test_every_head_is_saved_and_loaded(age, gender, width, tmp_path):
    pixels = {"colour": "grey", "standardise": True}
    settings = estimator(backbone=TINY, age=age, gender={"head": gender}, pixels=pixels)
    trained = model.build(settings)
    assert model.inference(trained, settings).output["age"].shape == (None, width)
    saved.save(trained, settings, tmp_path / "estimator")
    faces = [np.full((40, 40, 3), level, np.uint8) for level in (0, 200)]
    predictions = saved.load(tmp_path / "estimator").predict_images(faces)
    assert np.isfinite(predictions.age).all()
    assert np.isnan(predictions.female).all() == (gender == "none")


def test_a_branch_a_task_shares_nothing_after_the_backbone():
    shared = estimator(backbone=TINY, trunk={"pooling": "flatten"})
    apart = estimator(backbone=TINY, trunk={"pooling": "flatten"}, branch={"layers": [{"filters": 4}], "dense": [8]})
    names = [layer.__class__.__name__ for layer in model.build(apart).layers]
    assert names.count("Conv2D") == 3
    assert names.count("Dense") == 4
    assert [layer.__class__.__name__ for layer in model.build(shared).layers].count("Conv2D") == 1


def test_a_frozen_backbone_trains_its_head_only():
    built = model.build(estimator(backbone={"kind": "vgg16", "trainable": False}, trunk={"dense": [8]}))
    assert len(built.trainable_variables) == 2 * 3  # kernel and bias of the dense layer and of two heads


@pytest.mark.parametrize("side", [32, 47])
def test_odd_sides_suit_the_residual_net(side):
    model.build(estimator(size=side, backbone={"width": 4}))


@pytest.mark.parametrize("stem", [1, 2, 3])
def test_the_residual_net_halves_the_face_once_a_convolution_of_its_stem(stem):
    backbone = {"width": 8, "stem": stem, "blocks": [1]}
    flat = estimator(size=64, backbone=backbone, trunk={"pooling": "flatten"}, gender={"head": "none"})
    (head,) = (layer for layer in model.build(flat).layers if layer.__class__.__name__ == "Dense")
    assert head.kernel.shape[0] == 8 * (64 // 2**stem) ** 2


def test_a_face_too_small_for_the_layers_is_refused():
    with pytest.raises(VisageError, match="Convolution 4 of 5 gets a map of 2 pixels"):
        model.build(estimator(backbone={"kind": "stack", "layers": [{"filters": 4}] * 5}))
    with pytest.raises(VisageError, match=r"vgg16 .* cannot be made: Input size must be at least 32x32"):
        model.build(estimator(size=16, backbone={"kind": "vgg16"}))


def test_weights_are_read_from_a_file(tmp_path):
    published = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(32, 32, 3), include_preprocessing=False
    )
    published.save_weights(tmp_path / "mine.weights.h5")
    built = model.build(estimator(backbone={"kind": "mobilenetv3", "weights": str(tmp_path / "mine.weights.h5")}))
    backbone = next(layer for layer in built.layers if isinstance(layer, keras.Model))
    for a, b in zip(published.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_file_that_is_missing_or_no_weights_is_named(tmp_path):
    for name in ("missing.h5", "wrong.h5"):
        (tmp_path / "wrong.h5").write_bytes(b"no weights")
        with pytest.raises(VisageError, match=name):
            model.build(estimator(backbone={"kind": "vgg16", "weights": str(tmp_path / name)}))


def test_without_a_network_the_wanted_file_is_named(monkeypatch, tmp_path):
    def away(*arguments, **options):
        raise URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", away)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(VisageError, match=r"vgg16_weights_tf_dim_ordering_tf_kernels_notop\.h5") as caught:
        model.build(estimator(backbone={"kind": "vgg16", "weights": "imagenet"}))
    assert "estimator.backbone.weights" in caught.value.hint
