"""The DAG as data."""

import pytest

from components.step import Step, identity
from components.step.settings import Section
from pipeline import recipe
from pipeline.dag import STEPS, in_order, named
from schemas.error import VisageError


def step(name, *inputs):
    return Step(name, "", Section, inputs, lambda settings, job: {})


def test_the_steps_are_those_of_the_readme_in_that_order():
    assert [step.name for step in in_order(STEPS)] == ["ingest", "validate", "train", "evaluate", "register", "score"]


def test_a_step_comes_after_all_that_it_reads():
    steps = [step("c", "a", "b"), step("b", "a"), step("a")]
    assert [step.name for step in in_order(steps)] == ["a", "b", "c"]


@pytest.mark.parametrize("steps", [[step("a", "b"), step("b", "a")], [step("a", "missing")]])
def test_a_circle_or_a_missing_input_is_an_error_in_the_program(steps):
    with pytest.raises(ValueError, match="a circle, or an input is missing"):
        in_order(steps)


def test_an_unknown_step_is_named_with_those_that_there_are():
    with pytest.raises(VisageError, match="There is no step trian"):
        named("trian")


def test_another_name_of_the_registered_model_registers_anew_and_makes_nothing_else_anew():
    one, other = recipe.load("default"), recipe.load("default", ["registry.name=another"])
    differing = [
        step.name
        for step in STEPS
        if identity.of_step(step, one.of(step), {}).digest != identity.of_step(step, other.of(step), {}).digest
    ]
    assert differing == ["register"]


def test_what_passes_the_gate_of_validate_is_not_trained_anew_when_validate_is_run_anew():
    assert named("train").gates == ("validate",)


def test_modules_that_only_draw_or_write_pages_make_nothing_anew():
    for step in STEPS:
        pages = {identity.imports.PROJECT / "components" / step.name / f"{page}.py" for page in step.pages}
        assert all(page.is_file() for page in pages)
        assert pages <= {*identity._files(step.name, ())}
        assert not pages & {*identity._files(step.name, step.pages)}
