"""The DAG as Kubeflow Pipelines YAML, read back by the SDK's own loader."""

import argparse
import json
import re
from pathlib import Path

import pytest
import yaml

from components.step import command
from pipeline import dag, recipe
from pipeline.cli import parser
from pipeline.kubeflow import outputs
from pipeline.kubeflow.cluster_profile import ClusterProfile, Volume
from pipeline.kubeflow.compile import compile_pipeline
from schemas.error import VisageError
from tests.pipeline.kubeflow.compiled import FILE
from tests.pipeline.kubeflow.compiled import compiled as compiled_pipeline

kfp = pytest.importorskip("kfp", reason="the extra [kubeflow] is not installed")

DATA = Volume(claim="photos", mount="/data")
VISAGE = ClusterProfile(image="visage", tracking_uri="http://mlflow", volumes=(DATA,))


def documents(file: Path) -> list[dict]:
    """The pipeline, and what its pods are given on Kubernetes."""
    return list(yaml.safe_load_all(file.read_text()))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    file = tmp_path_factory.mktemp("kubeflow") / "in a new folder" / "visage.yaml"
    chosen = recipe.load("default", ["train.epochs=3", "source.path=/data/imdb_crop"])
    compile_pipeline(chosen, ClusterProfile(image="registry/visage:1", volumes=(DATA,)), file)
    return file


@pytest.fixture(scope="module")
def spec(compiled):
    return documents(compiled)[0]


def test_the_sdks_own_loader_reads_it_back(compiled):
    loaded = kfp.components.load_component_from_file(str(compiled))
    assert loaded.name == "visage"
    assert set(loaded.pipeline_spec.root.dag.tasks) == {"exit-handler-1", "end-run"}


def test_the_run_in_mlflow_is_ended_after_all_steps_however_they_ended(spec):
    """Without the final status of the steps, which Kubeflow's own backend tells from version 2.6 on only."""
    task = spec["root"]["dag"]["tasks"]["end-run"]
    assert task["dependentTasks"] == ["exit-handler-1"]
    assert task["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert "taskFinalStatus" not in json.dumps(task)
    container = spec["deploymentSpec"]["executors"]["exec-end-run"]["container"]
    arguments = [argument.replace("{{$.inputs.parameters['run']}}", "key-1") for argument in container["args"]]
    parsed = parser().parse_args([*container["command"][1:], *arguments])
    assert (parsed.key, parsed.steps) == ("key-1", [step.name for step in dag.STEPS])
    assert {entry["name"] for entry in container["env"]} == {"MLFLOW_TRACKING_URI", "VISAGE_RECIPE"}
    assert container["image"] == "registry/visage:1"


def test_every_step_waits_for_what_it_reads(spec):
    for step in dag.STEPS:
        task = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"][step.name]
        sources = {
            name: artifact["taskOutputArtifact"]["producerTask"]
            for name, artifact in task["inputs"].get("artifacts", {}).items()
        }
        assert sources == {f"{name}_artifact": name for name in step.inputs}
        assert sorted(task.get("dependentTasks", [])) == sorted(step.inputs)


def test_the_settings_are_a_parameter_whose_default_is_the_recipe(spec):
    default = spec["root"]["inputDefinitions"]["parameters"]["settings"]["defaultValue"]
    assert default["train"] == {"epochs": 3}
    assert default["source"]["path"] == "/data/imdb_crop"


@pytest.mark.parametrize("step", dag.STEPS, ids=lambda step: step.name)
def test_the_command_in_the_container_is_one_that_visage_understands(step, spec):
    container = spec["deploymentSpec"]["executors"][f"exec-{step.name}"]["container"]
    assert container["image"] == "registry/visage:1"
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "VISAGE_RECIPE": "default",
    }
    settings = spec["root"]["inputDefinitions"]["parameters"]["settings"]["defaultValue"]
    filled = []
    for argument in container["args"]:
        argument = argument.replace("{{$.inputs.parameters['settings']}}", json.dumps(settings)).replace("{{$}}", "{}")
        filled.append(re.sub(r"\{\{\$\.\w+\.\w+\['(\w+)'\](\.path)?\}\}", r"/mnt/\1", argument))
    parsed = parser().parse_args([*container["command"][1:], *filled])
    assert parsed.name == step.name
    assert command.settings_of(step, parsed).model_dump(mode="json") == recipe.load(
        "default", ["train.epochs=3", "source.path=/data/imdb_crop"]
    ).of(step).model_dump(mode="json")
    assert {name: str(folder) for name, folder in command.inputs_of(step, parsed).items()} == {
        name: f"/mnt/{name}_artifact" for name in step.inputs
    }
    assert str(parsed.out) == "/mnt/artifact"
    assert str(parsed.page) == "/mnt/page"
    assert outputs.parse(parsed.executor_input, parsed.page) is not None


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_reaches_the_steps_as_it_is(name, tmp_path):
    photos = ["source.path=/data/imdb_crop", "score.photos=[/data/album.zip]"]
    if recipe.load(name).settings.estimator.backbone.kind == "mobilenet":
        photos.append("estimator.backbone.weights=/data/faceres.weights.h5")
    chosen, file = recipe.load(name, photos), tmp_path / "visage.yaml"
    compile_pipeline(chosen, VISAGE, file)
    parameter = documents(file)[0]["root"]["inputDefinitions"]["parameters"]["settings"]
    options = argparse.Namespace(settings=json.dumps(parameter["defaultValue"]), set=[])
    for step in dag.STEPS:
        assert command.settings_of(step, options) == chosen.of(step)


def test_the_artifacts_are_what_kubeflow_shows_of_their_kind(spec):
    kinds = {
        step.name: {
            name: artifact["artifactType"]["schemaTitle"].removeprefix("system.")
            for name, artifact in spec["components"][f"comp-{step.name}"]["outputDefinitions"]["artifacts"].items()
        }
        for step in dag.STEPS
    }
    assert {step_outputs["metrics"] for step_outputs in kinds.values()} == {"Metrics"}
    assert {step: (step_outputs["artifact"], step_outputs["page"]) for step, step_outputs in kinds.items()} == {
        "ingest": ("Dataset", "HTML"),
        "validate": ("Artifact", "HTML"),
        "train": ("Model", "HTML"),
        "evaluate": ("Artifact", "HTML"),
        "register": ("Model", "HTML"),
        "score": ("Artifact", "HTML"),
    }


def test_nothing_is_taken_from_kubeflows_cache(spec):
    tasks = {**spec["root"]["dag"]["tasks"], **spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]}
    assert not any(
        tasks[name].get("cachingOptions", {}).get("enableCache")
        for name in [*(step.name for step in dag.STEPS), "end-run"]
    )


def test_without_a_profile_steps_have_requests_no_limits_and_two_retries(spec):
    for step in dag.STEPS:
        resources = spec["deploymentSpec"]["executors"][f"exec-{step.name}"]["container"]["resources"]
        assert {name for name in resources if name.startswith("resource")} == {
            "resourceCpuRequest",
            "resourceMemoryRequest",
        }
        policy = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"][step.name]["retryPolicy"]
        assert policy == {
            "maxRetryCount": 2,
            "backoffDuration": "60s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": "3600s",
        }


def test_a_file_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VisageError, match="cannot be written"):
        compile_pipeline(recipe.load("default"), VISAGE, tmp_path / "file" / "x.yaml")


@pytest.mark.parametrize(
    ("overrides", "tracking_uri", "message"),
    [
        (["beam.options=[--s3_secret_access_key=hunter2]"], "http://mlflow", "settings under beam"),
        (["source.path=https://me:hunter2@host/x"], "http://mlflow", "source.path holds a credential"),
        ([], "http://me:hunter2@mlflow", "tracking server"),
    ],
)
def test_a_credential_is_refused_and_not_written_where_everybody_reads(overrides, tracking_uri, message, tmp_path):
    file = tmp_path / "visage.yaml"
    with pytest.raises(VisageError, match=message) as caught:
        compile_pipeline(
            recipe.load("default", overrides), ClusterProfile(image="visage", tracking_uri=tracking_uri), file
        )
    assert caught.value.usage and "hunter2" not in str(caught.value)
    assert not file.exists()


def test_every_version_of_kfp_compiles_to_the_same_pipeline():
    """Each of the two sets of libraries has its kfp; both are held to one file."""
    assert compiled_pipeline() == list(yaml.safe_load_all(FILE.read_text()))
