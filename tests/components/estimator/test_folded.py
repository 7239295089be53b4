"""Batch normalisation that was folded into convolutions: training begins with the features that were published."""

import keras
import numpy as np
import pytest

from components.estimator import model
from components.estimator.backbones import folded
from components.estimator.settings import EstimatorSettings
from tests.components.estimator.made_graphs import random_mobilenet, write_graph

FACES = np.random.default_rng(1).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("graph") / "model.json", random_mobilenet())


def built(weights) -> keras.Model:
    return model.build(
        EstimatorSettings.model_validate({"size": 32, "backbone": {"kind": "mobilenet", "weights": str(weights)}})
    )


def network_of(estimator: keras.Model) -> keras.Model:
    return next(layer for layer in estimator.layers if isinstance(layer, keras.Model))


def norms(estimator: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in network_of(estimator).layers if isinstance(layer, keras.layers.BatchNormalization)]


def test_a_training_step_begins_with_the_features_of_inference(graph):
    """It normalises by the batch: here by the very faces that the statistics are taken of."""
    as_it_was, estimator = built(graph), built(graph)
    shown = FACES.astype(np.float32) / 127.5 - 1
    published = network_of(estimator)(shown, training=False).numpy()

    folded.unfold(estimator, [FACES])

    np.testing.assert_allclose(network_of(estimator)(shown, training=False).numpy(), published, atol=1e-3)
    np.testing.assert_allclose(network_of(estimator)(shown, training=True).numpy(), published, atol=1e-2)
    assert np.abs(network_of(as_it_was)(shown, training=True).numpy() - published).mean() > 0.1


def test_faces_in_several_batches_give_the_statistics_of_all(graph):
    at_once, in_parts = built(graph), built(graph)
    folded.unfold(at_once, [FACES[:32]])
    folded.unfold(in_parts, [FACES[:16], FACES[16:32]])
    for one, other in zip(norms(at_once), norms(in_parts), strict=True):
        for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)


def test_weights_that_have_statistics_keep_them(tmp_path):
    random_mobilenet().save_weights(tmp_path / "mine.weights.h5")
    estimator = built(tmp_path / "mine.weights.h5")
    before = [layer.get_weights() for layer in norms(estimator)]
    folded.unfold(estimator, iter(()))
    for weights, layer in zip(before, norms(estimator), strict=True):
        np.testing.assert_array_equal(weights, layer.get_weights())
