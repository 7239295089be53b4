"""The same DAG for Kubeflow Pipelines: every step the command `visage step` in a container.

Settings travel as one pipeline parameter, so that a run can be started with others; artifacts travel as KFP artifacts.
"""

import inspect
import json
from pathlib import Path
from typing import Any

from components.step import Step
from pipeline.dag import STEPS, in_order
from pipeline.kubeflow import pods, train_job
from pipeline.kubeflow.cluster_profile import ClusterProfile, Pod
from pipeline.kubeflow.outputs import METRICS, OUTPUT, PAGE, page_kind
from pipeline.kubeflow.places import demand_visible
from pipeline.recipe import Recipe
from schemas.error import VisageError
from schemas.redaction import holds_secret

PIPELINE = "visage"
MISSING = "Kubeflow Pipelines' SDK is not installed."
INSTALL = "`make env` installs it; by hand, in the project's folder: pip install -e '.[kubeflow]'."

_KINDS = {"ingest": "Dataset", "train": "Model", "register": "Model"}
"""What Kubeflow's user interface calls the artifact of a step; of the others, Artifact."""


def compile_pipeline(recipe: Recipe, profile: ClusterProfile, out: Path) -> None:
    """Write the pipeline as KFP YAML.

    Args:
        recipe: settings that a run of the pipeline has if it is given no others.
        profile: what the steps' pods are given.
        out: file to write, .yaml or .yml.

    Raises:
        VisageError: kfp is not installed, a setting names a place that no pod sees or a credential, `out` is called
            otherwise, or cannot be written.
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
    for section, values in {**changed, "the address of the tracking server": profile.tracking_uri}.items():
        if holds_secret(values):
            raise VisageError(
                f"In {'the settings under ' if section in changed else ''}{section} stands a credential, which everybody could "
                "read in the compiled pipeline.",
                "Give it to the steps' containers in their environment, from a secret of the cluster: `secrets` in the cluster "
                "profile.",
                usage=True,
            )
    demand_visible(recipe.settings, profile)
    components = {step.name: dsl.container_component(_component(step, profile, recipe)) for step in STEPS}

    @dsl.pipeline(name=PIPELINE, description=recipe.description or "From photos to a registered model and to scores")
    def visage(settings: dict = changed) -> None:
        tasks: dict[str, Any] = {}
        end = dsl.container_component(_end_run(profile))(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
        _surround(end, "end-run", recipe)
        pods.set_up(end, pods.END_RUN, profile)
        with dsl.ExitHandler(end, name="steps"):
            for step in in_order(STEPS):
                task = components[step.name](
                    settings=settings,
                    run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
                    **{f"{name}_artifact": tasks[name].outputs[OUTPUT] for name in step.inputs},
                )
                _surround(task, step.name, recipe)
                pods.set_up(task, _pod(step, profile), profile)
                tasks[step.name] = task

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        compiler.Compiler().compile(visage, str(out))
    except OSError as error:
        raise VisageError(f"{out} cannot be written: {error.strerror}") from error


def _surround(task: Any, name: str, recipe: Recipe) -> None:
    task.set_display_name(name)
    task.set_env_variable("VISAGE_RECIPE", recipe.name)


def _end_run(profile: ClusterProfile) -> Any:
    """The task after all others, however they ended: it ends the run in MLflow.

    How they ended it sees in MLflow: Kubeflow's own backend tells it a task only from version 2.6 on.
    """
    from kfp import dsl

    def end_run(run: str) -> dsl.ContainerSpec:
        arguments = ["end-run", run, *(step.name for step in STEPS)]
        return dsl.ContainerSpec(image=profile.image, command=["visage"], args=arguments)

    end_run.__doc__ = "end the pipeline run in MLflow, as finished, failed or killed"
    return end_run


def _starts_job(step: Step, profile: ClusterProfile) -> bool:
    return step.name == "train" and profile.train_hosts > 0


def _pod(step: Step, profile: ClusterProfile) -> Pod:
    pod = profile.pod(step.name)
    return train_job.starter(pod) if _starts_job(step, profile) else pod


def _component(step: Step, profile: ClusterProfile, recipe: Recipe) -> Any:
    """A function such as `dsl.container_component` takes, with one parameter for each input and output of the step."""
    from kfp import dsl

    def kind_of(name: str) -> Any:
        return getattr(dsl, _KINDS.get(name, "Artifact"))

    outputs: dict[str, Any] = {OUTPUT: kind_of(step.name), METRICS: dsl.Metrics}
    if page_kind(step):
        outputs[PAGE] = dsl.HTML

    def component(settings: Any, run: Any, *artifacts: Any) -> Any:
        artifact_of = dict(zip([*step.inputs, *outputs], artifacts, strict=True))
        arguments = ["step", step.name, "--settings", settings, "--run", run]
        for name in step.inputs:
            arguments += ["--input", name, artifact_of[name].path]
        if profile.artifact_store:
            arguments += ["--artifact-store", profile.artifact_store]
        if _starts_job(step, profile):
            arguments += ["--job", json.dumps(train_job.manifest(profile, recipe.name))]
        for option, address in (("--kubeflow-ui", profile.links.kubeflow), ("--mlflow-ui", profile.links.mlflow)):
            arguments += [option, address] if address else []
        if PAGE in artifact_of:
            arguments += ["--page", artifact_of[PAGE].path]
        arguments += [
            "--executor-input",
            dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
            "--out",
            artifact_of[OUTPUT].path,
        ]
        return dsl.ContainerSpec(image=profile.image_of(step.name), command=["visage"], args=arguments)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter("settings", kind, annotation=dict),
        inspect.Parameter("run", kind, annotation=str),
        *(inspect.Parameter(f"{name}_artifact", kind, annotation=dsl.Input[kind_of(name)]) for name in step.inputs),
        *(inspect.Parameter(name, kind, annotation=dsl.Output[output_kind]) for name, output_kind in outputs.items()),
    ]
    component.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    component.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    component.__name__ = component.__qualname__ = step.name
    component.__doc__ = step.summary
    return component
