"""The DAG as data."""

import pytest

from components.step import Step
from components.step.settings import Section
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
