"""Settings that do not fit together are refused with a sentence, before anything is trained."""

import pytest

from components.estimator.settings import EstimatorSettings
from components.step.settings import Section, build
from schemas.error import VisageError


class Recipe(Section):
    estimator: EstimatorSettings = EstimatorSettings()


def recipe(*overrides):
    return build(Recipe, {}, overrides).estimator


def test_the_default_backbone_needs_no_kind():
    assert recipe("estimator.backbone.width=8").backbone.width == 8


def test_a_kind_chooses_the_settings_of_its_family():
    large = recipe("estimator.backbone.kind=convnext", "estimator.backbone.variant=base")
    assert large.backbone.size_of_family == "base"
    assert recipe("estimator.backbone.kind=convnext").backbone.size_of_family == "tiny"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["estimator.backbone.kind=vgg19"], "kind must be one of residual, stack, vgg16"),
        (["estimator.backbone.kind=convnext", "estimator.backbone.variant=s"], "variants of convnext: tiny, small"),
        (["estimator.backbone.kind=vgg16", "estimator.backbone.width=8"], "no setting"),
        (["estimator.age.loss=coral"], "coral does not go with head distribution"),
        (["estimator.age.head=regression"], "dldl_v2 does not go with head regression: squared_error, absolute_error"),
        (["estimator.age.edges=[30, 20]"], "edges must rise"),
        (["estimator.age.edges=[30, 120]"], "edges must rise, between lowest and highest"),
        (["estimator.age.edges=[30]", "estimator.age.classes=[A, B, C]"], "1 edges make 2 classes, not 3"),
        (["estimator.age.classes=[A]"], "classes want edges"),
        (["estimator.age.edges=[30]", "estimator.age.classes=[A, A]"], "two classes have one name"),
        (["estimator.pixels={colour: grey, scaling: caffe}"], "three channels"),
        (["estimator.pixels.colour=grey", "estimator.backbone={kind: vgg16, weights: imagenet}"], "three channels"),
        (["estimator.trunk.dense=[8]", "estimator.branch.layers=[{filters: 8}]"], "need a map"),
    ],
)
def test_what_does_not_fit_together_is_refused(overrides, message):
    with pytest.raises(VisageError, match=message) as caught:
        recipe(*overrides)
    assert caught.value.usage
