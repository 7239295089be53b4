"""A made-up DAG whose steps take no time: what the local runner does is tested on it.

draw -> double -> total, and draw -> square -> total.
"""

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from components.registry import RegistrySettings
from components.step import Step, StepContext, Surroundings, Tracker
from components.step.settings import Section, external_path, runtime_only
from pipeline.recipe import Recipe, RecipeSettings
from schemas.error import VisageError


class ToySettings(Section):
    value: int = 3
    source: str = external_path("", "a file that is read")
    workers: int = runtime_only(1, "how many at once")
    fail: str = ""
    seconds: Mapping[str, float] = runtime_only({}, "how long a step sleeps, by step")
    late: str = Field("", description="the step that tells of its progress after its end")
    nothing: bool = False


class Settings(Section):
    toy: ToySettings = ToySettings()


class ComparingSettings(Section):
    toy: ToySettings = ToySettings()
    registry: RegistrySettings = RegistrySettings()


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
    if toy.late == name:
        threading.Thread(target=_tell_late, args=(context.tracker,), daemon=True).start()
    (context.output / "half").unlink()
    (context.output / "result").write_text(str(result))
    context.tracker.metric("result", result)
    return {"result": result}


def _tell_late(tracker: Tracker) -> None:
    time.sleep(0.2)
    for _ in range(2000):
        tracker.metric("late", 1)
        tracker.progress(1, 1, "things, with a name that is long enough to fill whatever they wait in")


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


def compare(settings: ComparingSettings, context: StepContext) -> Mapping[str, Any]:
    (context.output / "champion").write_text(str(context.champion))
    return {"champion": str(context.champion)}


def name_at_length(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """What is counted has a name that is long enough for MLflow, and with the step's own before it too long."""
    (context.output / "result").write_text("0")
    return {"x" * 248: 0}


def accept(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    (context.output / "accepted").write_text("yes")
    return {}


def accepted(artifact: Path, surroundings: Surroundings) -> bool:
    return (artifact / "accepted").exists()


def nothing_to_do(settings: Settings) -> str:
    return "there is nothing to do" if settings.toy.nothing else ""


STEPS = (
    Step("draw", "draws", Settings, (), draw),
    Step("double", "doubles", Settings, ("draw",), double),
    Step("square", "squares", Settings, ("draw",), square),
    Step("total", "adds", Settings, ("double", "square"), total),
)

COMPARING = (
    STEPS[0],
    Step("compare", "compares", ComparingSettings, ("draw",), compare, reads_champion=True),
    Step("double", "doubles", Settings, ("draw", "compare"), double, gates=("compare",)),
)

NAMED_AT_LENGTH = (Step("names", "names at length", Settings, (), name_at_length),)

ASKED_FIRST = (
    STEPS[0],
    Step("accept", "accepts", Settings, ("draw",), accept, is_current=accepted, nothing_to_do=nothing_to_do),
)

RESUMABLE = (Step("draw", "draws", Settings, (), draw, resumable=True),)


def recipe(registered: str = "visage", **toy: Any) -> Recipe:
    return Recipe("toy", "", ToyRecipe(toy=ToySettings(**toy), registry=RegistrySettings(name=registered)))


def calls(root: Path, step: str) -> int:
    """How often a step has been run under a root."""
    file = root / "artifacts" / step / "calls"
    return len(file.read_text().splitlines()) if file.is_file() else 0
