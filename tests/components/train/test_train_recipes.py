"""The recipes that come with Visage: every one builds, and the published systems have their published size."""

from pathlib import Path

import keras
import pytest
import yaml

from components.estimator import model
from components.train.settings import Settings

FOLDER = Path(__file__).parents[3] / "pipeline" / "recipes"
PUBLISHED = {
    "face2age_vgg16": 65_365_348,
    "utkface_two_branch": 12_894_242,
    "imdb_two_softmax": 105_224_871,
    "age_class_plain": 652_611,
    "age_class_vgg16_frozen": 16_812_867,
    "age_class_vgg16_trainable": 18_979_395,
}
"""Parameters as the authors report them."""


def recipe(name: str) -> Settings:
    values = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    held = {section: value for section, value in values.items() if section in Settings.model_fields}
    backbone = held.get("estimator", {}).get("backbone", {})
    if "weights" in backbone:
        backbone["weights"] = "none"  # the same size, and no download
    return Settings.model_validate(held)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_a_recipe_builds_at_its_published_size(name):
    built = model.build(recipe(name).estimator)
    if name in PUBLISHED:
        assert built.count_params() == PUBLISHED[name]
    keras.backend.clear_session()


def test_every_published_size_is_held():
    assert set(PUBLISHED) <= {path.stem for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_a_recipe_says_what_it_is(name):
    assert len(yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["description"]) > 20


def test_augmentation_of_the_age_classes_is_their_only_difference():
    plain, more = recipe("age_class_regularised"), recipe("age_class_augmented")
    assert plain.estimator == more.estimator
    assert plain.train.model_copy(update={"augment": more.train.augment}) == more.train
    assert plain.train.augment != more.train.augment
