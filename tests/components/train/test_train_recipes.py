"""The recipes that come with Visage: every one builds, and the published systems have their published size."""

import keras
import pytest

from components.estimator import model
from components.estimator.settings import ApplicationSettings
from pipeline import recipe

PUBLISHED = {
    "face2age_vgg16": 65_365_348,
    "utkface_two_branch": 12_894_242,
    "imdb_two_softmax": 105_224_871,
    "age_class_plain": 652_611,
    "age_class_vgg16_frozen": 16_812_867,
    "age_class_vgg16_trainable": 18_979_395,
}
"""Parameters as the authors report them."""


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_builds_at_its_published_size(name):
    settings = recipe.load(name).settings.estimator
    if isinstance(settings.backbone, ApplicationSettings):  # the same size, and no download
        settings = recipe.load(name, ["estimator.backbone.weights=none"]).settings.estimator
    built = model.build(settings)
    if name in PUBLISHED:
        assert built.count_params() == PUBLISHED[name]
    keras.backend.clear_session()


def test_every_published_size_is_held():
    assert set(PUBLISHED) <= set(recipe.names())


def test_augmentation_of_the_age_classes_is_their_only_difference():
    plain, more = (recipe.load(f"age_class_{name}").settings for name in ("regularised", "augmented"))
    assert plain.estimator == more.estimator
    assert plain.train.model_copy(update={"augment": more.train.augment}) == more.train
    assert plain.train.augment != more.train.augment
