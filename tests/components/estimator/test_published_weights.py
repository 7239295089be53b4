"""ImageNet's weights as keras.applications publishes them: files of the same layout, with random numbers in them.

The published files cannot be fetched by tests. What is taken for granted of them is what their layout is: HDF5 as Keras 1 wrote
it for VGG16, and as TensorFlow's Keras wrote it for EfficientNetV2.
"""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from components.estimator import model
from components.estimator.settings import ApplicationSettings
from pipeline import recipe
from schemas.error import VisageError

PUBLISHED = {
    "vgg16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "efficientnetv2": "efficientnetv2-s_notop.h5",
}
"""Names of the files in Keras's cache, by the kind of backbone."""

SMALL = ["estimator.size=32", "estimator.trunk.dense=[]"]
"""Weights of convolutions are of the same shape for faces of every size; dense layers are no part of the files."""


def with_imagenet() -> dict[str, str]:
    """A recipe for every kind of backbone that begins with ImageNet's weights."""
    backbones = {name: recipe.load(name).settings.estimator.backbone for name in recipe.names()}
    return {
        backbone.kind: name
        for name, backbone in backbones.items()
        if isinstance(backbone, ApplicationSettings) and backbone.weights == "imagenet"
    }


def write_published(path: Path, network: keras.Model) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        by_keras_1 = path.name.startswith("vgg16")
        if not by_keras_1:
            file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.5.0"
        for layer in network.layers:
            group = file.create_group(layer.name)
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            ends = {"kernel": "W_1", "bias": "b_1"}
            names = [
                f"{layer.name}_{ends[weight.name]}:0" if by_keras_1 else f"{layer.name}/{weight.name}:0"
                for weight in weights
            ]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights, strict=True):
                group.create_dataset(name, data=weight.numpy())


def backbone_of(name: str, weights: str) -> keras.Model:
    settings = recipe.load(name, [*SMALL, f"estimator.backbone.weights={weights}"]).settings.estimator
    return next(layer for layer in model.build(settings).layers if isinstance(layer, keras.Model))


@pytest.fixture(scope="module", params=["vgg16", pytest.param("efficientnetv2", marks=pytest.mark.slow)])
def published(request, tmp_path_factory) -> tuple[str, Path, list[np.ndarray]]:
    """A recipe, its file in a folder laid out as Keras's cache, and what is in it."""
    name = with_imagenet()[request.param]
    network = backbone_of(name, "none")
    folder = tmp_path_factory.mktemp("keras") / "models"
    folder.mkdir()
    write_published(folder / PUBLISHED[request.param], network)
    return name, folder / PUBLISHED[request.param], network.get_weights()


def test_a_recipe_takes_the_published_file_from_the_cache_of_keras(published, monkeypatch):
    name, file, weights = published
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(file.parent.parent))
    checked_files = []

    def takes_every_digest(path, *digest, **how):  # made-up weights cannot have the published one
        checked_files.append(Path(path))
        return True

    monkeypatch.setattr("keras.src.utils.file_utils.validate_file", takes_every_digest)
    network = backbone_of(name, "imagenet")
    assert checked_files == [file]
    for actual, expected in zip(network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_recipe_takes_the_published_file_by_its_path(published):
    name, file, weights = published
    for actual, expected in zip(backbone_of(name, str(file)).get_weights(), weights, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_file_of_these_is_known_for_every_kind_that_a_recipe_begins_with():
    assert set(with_imagenet()) == set(PUBLISHED)


def test_a_published_file_that_was_cut_short_is_one_message(published, tmp_path):
    name, file, _ = published
    (tmp_path / file.name).write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(VisageError, match=file.name):
        backbone_of(name, str(tmp_path / file.name))
