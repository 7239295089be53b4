"""MobileNet with the weights of a graph of TensorFlow.js: the same features, and one message for every file that is none."""

import json

import keras
import numpy as np
import pytest

from components.estimator import model, tfjs
from components.estimator.backbones import mobilenet
from components.estimator.settings import EstimatorSettings
from schemas.error import VisageError
from tests.components.estimator.made_graphs import random_mobilenet, write_graph

FACES = np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)


def estimator(weights, **backbone) -> EstimatorSettings:
    return EstimatorSettings.model_validate(
        {"size": 32, "backbone": {"kind": "mobilenet", "weights": str(weights)} | backbone}
    )


def backbone_of(settings: EstimatorSettings) -> keras.Model:
    return next(layer for layer in model.build(settings).layers if isinstance(layer, keras.Model))


@pytest.fixture(scope="module")
def published():
    return random_mobilenet()


@pytest.fixture(scope="module")
def another():
    """A network to be given weights."""
    return keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))


@pytest.mark.parametrize("fused", [False, True], ids=["as FaceRes", "fused"])
@pytest.mark.parametrize(
    ("stored", "tolerance"), [("float32", 1e-5), ("float16", 2e-2), ("uint16", 2e-2), ("uint8", 2.0)]
)
def test_a_graph_gives_the_features_of_the_network_that_it_was_made_of(
    published, another, tmp_path, stored, tolerance, fused
):
    graph = write_graph(tmp_path / "model.json", published, stored, fused)
    mobilenet.take_weights(another, tfjs.read(graph), str(graph))
    expected = published(FACES, training=False).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(another(FACES, training=False).numpy(), expected, atol=tolerance)


def test_a_recipe_names_a_graph_as_its_weights(published, tmp_path):
    graph = write_graph(tmp_path / "model.json", published)
    network = backbone_of(estimator(graph))
    np.testing.assert_allclose(network(FACES, training=False), published(FACES, training=False), atol=1e-5)


def test_weights_of_keras_are_taken_too(published, tmp_path):
    published.save_weights(tmp_path / "mine.weights.h5")
    network = backbone_of(estimator(tmp_path / "mine.weights.h5"))
    np.testing.assert_array_equal(network(FACES, training=False), published(FACES, training=False))


def damaged(path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("modelTopology"), "no graph model of TensorFlow.js: KeyError: 'modelTopology'"),
        (lambda document: document.update(modelTopology={"model_config": {}}), "layers models are not read"),
        (lambda document: document["weightsManifest"][0].update(paths=["../secret"]), "climbs out"),
        (
            lambda document: document["weightsManifest"][0].update(paths=["gone.bin"]),
            "gone.bin, which cannot be read: No such file",
        ),
        (lambda document: document["weightsManifest"][0]["paths"].pop(), "are 1,001 bytes where"),
        (lambda document: document["weightsManifest"][0]["weights"][3].update(dtype="complex64"), "of type complex64"),
        (lambda document: document["weightsManifest"][0]["weights"][3].update(shape=[-1]), "of shape"),
        (
            lambda document: document["modelTopology"].update(node=[]),
            "is no MobileNet: 0 convolutions where 27 are expected",
        ),
        (
            lambda document: document["modelTopology"]["node"].pop(7),
            "is no MobileNet: 1 convolutions where 27 are expected",
        ),
    ],
)
def test_a_graph_that_is_damaged_or_another_is_one_message(published, tmp_path, change, message):
    graph = write_graph(tmp_path / "model.json", published)
    damaged(graph, change)
    with pytest.raises(VisageError) as caught:
        model.build(estimator(graph))
    assert message in str(caught.value)
    assert str(graph) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8 a photo", b"[]", b"null", b"{"])
def test_a_file_that_is_no_graph_at_all_is_one_message(tmp_path, content):
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(VisageError, match="is no graph model"):
        model.build(estimator(tmp_path / "model.json"))


def test_a_graph_that_is_not_there_is_one_message(tmp_path):
    with pytest.raises(VisageError, match=r"model\.json cannot be read: No such file"):
        model.build(estimator(tmp_path / "model.json"))


def test_a_narrower_mobilenet_is_refused(published, tmp_path):
    narrow = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.5)
    graph = write_graph(tmp_path / "model.json", narrow)
    with pytest.raises(VisageError, match=r"conv1 has there a kernel of \(3, 3, 3, 16\)"):
        model.build(estimator(graph))


def test_strides_of_another_network_are_refused(published, tmp_path):
    graph = write_graph(tmp_path / "model.json", published)

    def stride_once(document):
        node = next(node for node in document["modelTopology"]["node"] if node["name"] == "conv_dw_2")
        node["attr"]["strides"]["list"]["i"] = ["1", "1", "1", "1"]

    damaged(graph, stride_once)
    with pytest.raises(VisageError, match=r"conv_dw_2 has there a kernel of .* and strides of \(1, 1\)"):
        model.build(estimator(graph))


def test_a_graph_is_for_mobilenet_only(tmp_path):
    with pytest.raises(ValueError, match="for kind mobilenet only"):
        estimator("model.json", kind="vgg16")


def test_weights_that_are_missing_name_the_command_that_fetches_them(tmp_path):
    with pytest.raises(VisageError, match=r"missing\.weights\.h5") as caught:
        model.build(estimator(tmp_path / "missing.weights.h5"))
    assert "visage weights faceres" in caught.value.hint


def test_weights_of_another_network_are_one_message(tmp_path):
    other = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25)
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(VisageError, match=r"other\.weights\.h5 cannot be made: .*conv1") as caught:
        model.build(estimator(tmp_path / "other.weights.h5"))
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


def test_the_rest_of_a_graph_may_be_any(published, another, tmp_path):
    """Heads are no part of the backbone, and a graph may end with the features."""
    graph = write_graph(tmp_path / "model.json", published)
    damaged(graph, lambda document: document["modelTopology"].update(node=document["modelTopology"]["node"][:-5]))
    mobilenet.take_weights(another, tfjs.read(graph), str(graph))
