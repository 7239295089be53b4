"""The same DAG for Kubeflow Pipelines: every step the command `visage step` in a container.

Settings travel as one pipeline parameter, so that a run can be started with others; artifacts travel as KFP artifacts.
"""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.step import Step
from pipeline.dag import STEPS, in_order
from pipeline.recipe import Recipe
from schemas.error import VisageError
from schemas.redaction import holds_secret

PIPELINE = "visage"
OUTPUT = "artifact"
MISSING = "Kubeflow Pipelines' SDK is not installed."
INSTALL = "`make env` installs it; by hand, in the project's folder: pip install -e '.[kubeflow]'."


@dataclass(frozen=True)
class Containers:
    """What the steps run in.

    Attributes:
        image: container image that holds Visage.
        tracking_uri: MLflow server, as seen from the cluster.
        gpus: NVIDIA GPUs of the train step; the other steps have none.

    Raises:
        VisageError: the image or the server is an empty name, or one with blanks.
    """

    image: str
    tracking_uri: str
    gpus: int = 0

    def __post_init__(self) -> None:
        for option, name, example in (
            ("--image", self.image, "visage:latest"),
            ("--tracking-uri", self.tracking_uri, "http://mlflow:5000"),
        ):
            if not re.fullmatch(r"\S+", name):
                raise VisageError(f"{option} {name!r} names nothing.", f"Name one, for instance {example}.", usage=True)


def compile_pipeline(recipe: Recipe, containers: Containers, out: Path) -> None:
    """Write the pipeline as KFP YAML.

    Args:
        recipe: settings that a run of the pipeline has if it is given no others.
        containers: what the steps run in.
        out: file to write, .yaml or .yml.

    Raises:
        VisageError: kfp is not installed, `out` is called otherwise, or cannot be written.
    """
    if out.suffix not in (".yaml", ".yml"):
        raise VisageError(
            f"{out}: Kubeflow Pipelines takes a pipeline as a file whose name ends with .yaml.",
            f"Name it {out.with_suffix('.yaml')}." if out.name else "Name a file, for instance visage-pipeline.yaml.",
            usage=True,
        )
    try:
        from kfp import compiler, dsl
    except ImportError as error:
        raise VisageError(MISSING, INSTALL) from error

    changed = recipe.settings.model_dump(mode="json", exclude_defaults=True)
    for where, values in {**changed, "the address of the tracking server": containers.tracking_uri}.items():
        if holds_secret(values):
            raise VisageError(
                f"In {'the settings under ' if where in changed else ''}{where} stands a credential, which everybody could "
                "read in the compiled pipeline.",
                "Give it to the steps' containers in their environment, from a secret of the cluster.",
                usage=True,
            )
    components = {step.name: dsl.container_component(_component(step, containers.image)) for step in STEPS}

    @dsl.pipeline(name=PIPELINE, description=recipe.description or "From photos to a registered model and to scores")
    def visage(settings: dict = changed) -> None:
        tasks: dict[str, Any] = {}
        end = dsl.container_component(_end_run(containers.image))(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
        _surround(end, "end-run", recipe, containers)
        with dsl.ExitHandler(end, name="steps"):
            for step in in_order(STEPS):
                task = components[step.name](
                    settings=settings,
                    run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
                    **{f"{name}_artifact": tasks[name].outputs[OUTPUT] for name in step.inputs},
                )
                _surround(task, step.name, recipe, containers)
                tasks[step.name] = task
        if containers.gpus:
            tasks["train"].set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(containers.gpus)

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        compiler.Compiler().compile(visage, str(out))
    except OSError as error:
        raise VisageError(f"{out} cannot be written: {error.strerror}") from error


def _surround(task: Any, name: str, recipe: Recipe, containers: Containers) -> None:
    task.set_display_name(name)
    task.set_env_variable("MLFLOW_TRACKING_URI", containers.tracking_uri)
    task.set_env_variable("VISAGE_RECIPE", recipe.name)


def _end_run(image: str) -> Any:
    """The task after all others, however they ended: it ends the run in MLflow.

    How they ended it sees in MLflow: Kubeflow's own backend tells it a task only from version 2.6 on.
    """
    from kfp import dsl

    def end_run(run: str) -> dsl.ContainerSpec:
        arguments = ["end-run", run, *(step.name for step in STEPS)]
        return dsl.ContainerSpec(image=image, command=["visage"], args=arguments)

    end_run.__doc__ = "end the pipeline run in MLflow, as finished or failed"
    return end_run


def _component(step: Step, image: str) -> Any:
    """A function such as `dsl.container_component` takes, with one parameter for each input of the step."""
    from kfp import dsl

    names = [f"{name}_artifact" for name in step.inputs]

    def component(settings: Any, run: Any, *artifacts: Any) -> Any:
        given = dict(zip(step.inputs, artifacts, strict=False))
        output = artifacts[len(step.inputs)]
        arguments = ["step", step.name, "--settings", settings, "--run", run]
        for name, artifact in given.items():
            arguments += ["--input", name, artifact.path]
        return dsl.ContainerSpec(image=image, command=["visage"], args=[*arguments, "--out", output.path])

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter("settings", kind, annotation=dict),
        inspect.Parameter("run", kind, annotation=str),
        *(inspect.Parameter(name, kind, annotation=dsl.Input[dsl.Artifact]) for name in names),
        inspect.Parameter(OUTPUT, kind, annotation=dsl.Output[dsl.Artifact]),
    ]
    component.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    component.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    component.__name__ = component.__qualname__ = step.name
    component.__doc__ = step.summary
    return component
