"""Settings from recipes and --set, and what a person is told when they are wrong."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import Field

from components.step.settings import Section, build, dotted, external_path, load_yaml, marked_fields, runtime_only
from schemas.error import VisageError


class Optimizer(Section):
    learning_rate: float = Field(1e-3, gt=0, description="step size")
    kind: Literal["adam", "sgd"] = "adam"


class Small(Section):
    kind: Literal["small"] = "small"
    width: int = 8
    bias: bool = True


class Large(Section):
    kind: Literal["large"] = "large"
    depth: int = 8
    bias: bool = True


class Train(Section):
    epochs: int = Field(10, ge=1)
    workers: int = runtime_only(0, "threads")
    optimizer: Optimizer = Optimizer()
    net: Annotated[Small | Large, Field(discriminator="kind")] = Small()


class Source(Section):
    path: str = external_path("", "where the photos are")


class Everything(Section):
    train: Train = Train()
    source: Source = Source()


def test_overrides_are_yaml_and_go_over_the_recipe_key_by_key():
    settings = build(
        Everything,
        {"train": {"epochs": 3, "optimizer": {"kind": "sgd"}}},
        ["train.optimizer.learning_rate=1e-2", "source.path=a b/c=d"],
    )
    assert settings.train.epochs == 3
    assert settings.train.optimizer == Optimizer(kind="sgd", learning_rate=0.01)
    assert settings.source.path == "a b/c=d"


def test_a_section_that_becomes_another_kind_keeps_what_the_other_has_too():
    recipe = {"train": {"net": {"kind": "small", "width": 3, "bias": False}}}
    assert build(Everything, recipe, ["train.net.kind=large", "train.net.depth=2"]).train.net == Large(
        depth=2, bias=False
    )
    assert build(Everything, recipe, ["train.net={kind: large}"]).train.net == Large(bias=False)
    assert build(Everything, recipe, ["train.net.bias=true"]).train.net == Small(width=3)


@pytest.mark.parametrize("path", ["/tmp/a #1", "plain", " blank ", "2026-11-27", "2026-99-01"])
def test_a_text_is_taken_as_it_stands(path):
    assert build(Everything, {}, [f"source.path={path}"]).source.path == path


def test_a_text_in_quotes_is_what_stands_in_them():
    assert build(Everything, {}, ["source.path='7'"]).source.path == "7"


@pytest.mark.parametrize("override", ["source.path=", "source.path= ", "source.path=''", 'source.path=""'])
def test_an_empty_value_is_an_empty_text(override):
    assert build(Everything, {"source": {"path": "somewhere"}}, [override]).source.path == ""


def test_an_empty_value_is_no_number_and_no_null():
    with pytest.raises(VisageError, match=r"train\.epochs"):
        build(Everything, {}, ["train.epochs="])


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        build(Everything, {}).train.epochs = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.epoch=5", ["there is no setting train.epoch", "Did you mean train.epochs"]),
        ("epochs=5", ["there is no setting epochs", "train.epochs"]),
        ("train.optimizer.lerning_rate=5", ["train.optimizer.learning_rate"]),
        ("nonsense.at.all=1", ["there is no setting nonsense", "Valid: source, train"]),
        ("train.epochs=0", ["train.epochs", "greater than or equal to 1", "given: 0"]),
        ("train.epochs=many", ["train.epochs", "valid integer", "'many'"]),
        ("train.optimizer.kind=adm", ["'adam' or 'sgd'"]),
        ("train.net={kind: large, width: 3}", ["there is no setting train.net.width"]),
        ("train.net={kind: large, deepth: 3}", ["there is no setting train.net.deepth", "train.net.depth"]),
        ("train.epochs", ["--set train.epochs", "section.key=value"]),
        ("train.epochs=[1", ["not valid YAML"]),
        ("train.epochs=0x_", ["not valid YAML"]),
        (f"train.epochs={'[' * 5000}", ["not valid YAML"]),
    ],
)
def test_a_wrong_setting_is_one_message_with_the_nearest_valid_names(override, parts):
    with pytest.raises(VisageError) as caught:
        build(Everything, {}, [override], "the recipe x")
    assert caught.value.exit_code == 2
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a: [1", "- a list", "just words", "a: 0x_", "a: {b: 1}\na: {c: 2}", "a: {b: 1, b: 2}", '{"a": 1, "a": 2}']
)
def test_a_recipe_that_is_no_mapping_is_refused(text):
    with pytest.raises(VisageError, match=r"my\.yaml"):
        load_yaml(text, "my.yaml")


def test_a_key_that_another_mapping_brings_along_is_not_there_twice():
    text = "a: &common {b: 1, c: 1}\nd: {<<: *common, c: 2}"
    assert load_yaml(text, "x")["d"] == {"b": 1, "c": 2}


@pytest.mark.parametrize("name", ["\U0001f600", "\udcff", "\u00e4", 'a "b" \\ c'])
def test_a_name_written_as_json_is_that_name(name):
    """As `visage score` and the Job of a training hand it on: JSON writes an emoji as two halves, which YAML leaves apart."""
    assert build(Everything, {}, [f"source.path={json.dumps(name)}"]).source.path == name
    assert load_yaml(json.dumps({"source": {"path": name}}), "x") == {"source": {"path": name}}


def test_a_folder_that_is_called_like_a_day_is_no_day():
    assert load_yaml("source: {path: 2026-11-27}", "x") == {"source": {"path": "2026-11-27"}}


def test_an_empty_recipe_is_the_default():
    assert build(Everything, load_yaml("# nothing\n", "x")) == Everything()


def test_fields_are_found_by_their_mark_and_listed_by_dotted_name():
    settings = build(Everything, {}, ["train.workers=4"])
    assert marked_fields(settings, "runtime_only") == {"train.workers": 4}
    assert marked_fields(settings, "external") == {"source.path": ""}
    assert dotted(settings)["train.optimizer.learning_rate"] == 1e-3


@pytest.mark.parametrize(
    "address",
    ["s3://key:hunter2hunter2@bucket/x", "https://host/x.zip?sig=hunter2hunter2", "gs://hunter2hunter2hunter2@b/x"],
)
def test_a_credential_in_an_address_is_refused_and_not_shown(address):
    with pytest.raises(VisageError, match=r"source\.path holds a credential.*\*\*\*") as caught:
        build(Everything, {"source": {"path": address}})
    assert caught.value.usage and "hunter2" not in str(caught.value)


def test_an_address_without_one_is_taken_as_it_is():
    for address in ("s3://bucket/x@y", "/data/token=abc/photos", "C:/sig=1"):
        assert build(Everything, {"source": {"path": address}}).source.path == address
