"""Recipes: files of differences from the default or from another recipe."""

import pytest

from components.score import nothing_to_do
from pipeline import recipe
from pipeline.dag import STEPS, named
from schemas.error import VisageError


def test_the_default_recipe_is_the_defaults():
    assert recipe.load("default").settings == recipe.RecipeSettings()


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_loads_and_says_what_it_is(name):
    loaded = recipe.load(name)
    assert loaded.name == name
    assert len(loaded.description) > 20


def test_a_recipe_of_ones_own_is_a_file_and_overrides_go_over_it(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("description: mine\ntrain: {epochs: 7, batch_size: 8}\n")
    loaded = recipe.load(str(file), ["train.epochs=9"])
    assert loaded.description == "mine"
    assert (loaded.settings.train.epochs, loaded.settings.train.batch_size) == (9, 8)


def test_a_recipe_can_extend_another_and_sets_only_what_differs(tmp_path):
    (tmp_path / "first.yaml").write_text(
        "description: first\nextends: demo\ntrain: {epochs: 7, augment: {zoom: 0.3}}\n"
    )
    (tmp_path / "second.yaml").write_text("extends: ./first.yaml\ntrain: {epochs: 8}\n")
    second, demo = recipe.load(str(tmp_path / "second.yaml")), recipe.load("demo")
    assert (second.settings.train.epochs, second.settings.train.augment.zoom) == (8, 0.3)
    assert second.settings.train.augment.rotation == demo.settings.train.augment.rotation
    assert second.settings.source == demo.settings.source
    assert second.description == ""


def test_a_recipe_that_extends_itself_or_nothing_is_one_message(tmp_path):
    (tmp_path / "ring.yaml").write_text(f"extends: ../{tmp_path.name}/other.yaml\n")
    (tmp_path / "other.yaml").write_text("extends: ./ring.yaml\n")
    with pytest.raises(VisageError, match="extends itself"):
        recipe.load(str(tmp_path / "ring.yaml"))
    (tmp_path / "none.yaml").write_text("extends: ./nowhere.yaml\n")
    with pytest.raises(VisageError, match="no recipe file"):
        recipe.load(str(tmp_path / "none.yaml"))
    (tmp_path / "number.yaml").write_text("extends: [demo]\n")
    with pytest.raises(VisageError, match="extends must be the name"):
        recipe.load(str(tmp_path / "number.yaml"))


def test_a_recipe_has_every_section_that_some_step_reads_and_no_other():
    read = {name: field.annotation for step in STEPS for name, field in step.settings.model_fields.items()}
    assert {name: field.annotation for name, field in recipe.RecipeSettings.model_fields.items()} == read


def test_every_step_gets_the_sections_that_it_reads():
    loaded = recipe.load("default", ["train.epochs=9"])
    for step in STEPS:
        assert type(loaded.of(step)) is step.settings
    train = next(step for step in STEPS if step.name == "train")
    assert loaded.of(train).model_dump()["train"]["epochs"] == 9


def test_a_recipe_that_names_no_album_scores_nothing_and_looks_for_faces_in_one_that_it_names(tmp_path):
    """The photos of the source, with those that were trained on, are no album."""
    loaded = recipe.load("default", [f"source.path={tmp_path}"])
    assert loaded.settings.score.photos == ()
    assert "score.photos" in nothing_to_do(loaded.of(named("score")))
    loaded = recipe.load("default", [f"source.path={tmp_path}", "score.photos=[a.zip]"])
    assert loaded.settings.score.faces == "detect"
    assert nothing_to_do(loaded.of(named("score"))) == ""


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_printed_whole_is_a_recipe(name, tmp_path):
    loaded = recipe.load(name, ["train.epochs=9"])
    file = tmp_path / "printed.yaml"
    file.write_text(recipe.as_yaml(loaded))
    assert recipe.load(str(file)).settings == loaded.settings
    assert "# at most; early stopping may come before" in file.read_text()


def test_a_recipe_that_is_not_text_is_one_message(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VisageError, match="cannot be read"):
        recipe.load(str(file))
