"""A made-up DAG whose steps take no time: what the local runner does is tested on it.

draw -> double -> total, and draw -> square -> total.
"""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from components.step import Step, StepContext
from components.step.settings import Section, external_path, runtime_only
from pipeline.recipe import Recipe, RecipeSettings
from schemas.error import VisageError


class ToySettings(Section):
    value: int = 3
    source: str = external_path("", "a file that is read")
    workers: int = runtime_only(1, "how many at once")
    fail: str = ""
    seconds: Mapping[str, float] = Field({}, description="how long a step sleeps, by step")


class Settings(Section):
    toy: ToySettings = ToySettings()


class ToyRecipe(RecipeSettings):
    toy: ToySettings = ToySettings()


def _work(name: str, settings: Settings, context: StepContext, result: int) -> Mapping[str, Any]:
    toy = settings.toy
    print(f"{name} says hello")
    with (context.output.parent / "calls").open("a") as calls:
        calls.write(f"{name} {time.time()}\n")
    (context.output / "half").write_text("half")
    context.tracker.progress(1, 2, "things")
    time.sleep(toy.seconds.get(name, 0))
    if toy.fail == name:
        raise VisageError("the thing is broken", "Mend the thing.")
    if toy.fail == f"{name}:bug":
        raise KeyError("nobody foresaw this")
    if toy.fail == f"{name}:killed":
        os.kill(os.getpid(), signal.SIGKILL)
    (context.output / "half").unlink()
    (context.output / "result").write_text(str(result))
    context.tracker.metric("result", result)
    return {"result": result}


def _read(context: StepContext, name: str) -> int:
    return int((context.inputs[name] / "result").read_text())


def draw(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    return _work("draw", settings, context, settings.toy.value)


def double(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    return _work("double", settings, context, 2 * _read(context, "draw"))


def square(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    return _work("square", settings, context, _read(context, "draw") ** 2)


def total(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    return _work("total", settings, context, _read(context, "double") + _read(context, "square"))


STEPS = (
    Step("draw", "draws", Settings, (), draw),
    Step("double", "doubles", Settings, ("draw",), double),
    Step("square", "squares", Settings, ("draw",), square),
    Step("total", "adds", Settings, ("double", "square"), total),
)


def recipe(**toy: Any) -> Recipe:
    return Recipe("toy", "", ToyRecipe(toy=ToySettings(**toy)))


def calls(root: Path, step: str) -> int:
    """How often a step has been run under a root."""
    file = root / "artifacts" / step / "calls"
    return len(file.read_text().splitlines()) if file.is_file() else 0
