"""Training on several hosts within the compiled pipeline: the Job that the train step starts, and what comes of it.

The hosts are processes on loopback that are given what the Job gives its pods.
"""

import json
import os
import shutil
import threading
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from mlflow import MlflowClient

from components.train import hosts
from pipeline import dag, recipe
from pipeline.cli import parser
from pipeline.demo.archive import draw_archive
from pipeline.kubeflow import cluster_profile, train_job
from pipeline.kubeflow.cluster_profile import ClusterProfile
from pipeline.kubeflow.compile import compile_pipeline
from schemas.artifact import read_manifest
from tests import preloaded
from tests.cluster.go_servers import free_port
from tests.documented import PROJECT
from tests.infra.manifests import VERSION
from tests.pipeline.kubeflow.controllers import controllers
from tests.pipeline.kubeflow.launcher import Run
from tests.pipeline.kubeflow.test_compile import documents

pytest.importorskip("kfp", reason="the extra [kubeflow] is not installed")

EXAMPLE = PROJECT / "infra" / "kubeflow" / "hosts.yaml"
BY_HAND = PROJECT / "infra" / "kubernetes" / "jobs" / "train-hosts" / "train-hosts.yaml"
IN_NAMESPACE = PROJECT / "infra" / "kubernetes" / "kubeflow" / "train-hosts.yaml"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The train step's container as compiled with the example, and its pod."""
    out = tmp_path_factory.mktemp("compiled") / "visage.yaml"
    chosen = recipe.load("default", ["source.path=s3://photos/imdb_crop"])
    compile_pipeline(chosen, cluster_profile.load(EXAMPLE, {}), out)
    pipeline, platform = documents(out)
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pipeline["deploymentSpec"]["executors"]["exec-train"]["container"], pods["exec-train"]


@pytest.fixture(scope="module")
def job(compiled):
    """The Job that the compiled step starts."""
    starter_arguments = [argument for argument in compiled[0]["args"] if not argument.startswith("{{$")]
    manifest = json.loads(starter_arguments[starter_arguments.index("--job") + 1])
    settings = recipe.load("default", ["train.epochs=3"]).of(dag.named("train"))
    arguments = train_job.command(settings, "Run_1", "s3://visage-artifact-store", {})
    return train_job.named(manifest, "Run_1", "0123abcd", arguments)


def objects(file: Path) -> dict[str, dict]:
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(file.read_text())}


def test_the_job_is_right_by_the_schemas_of_kubernetes(job):
    kubernetes_validate.validate(job, VERSION, strict=True)


def test_the_step_that_starts_it_needs_no_gpu_and_outlasts_it(compiled, job):
    container, pod = compiled
    assert "accelerator" not in container["resources"] and container["resources"]["resourceMemoryRequest"] == "1Gi"
    assert "tolerations" not in pod
    assert container["image"] == job["spec"]["template"]["spec"]["containers"][0]["image"], "fingerprints must agree"
    assert job["spec"]["activeDeadlineSeconds"] == 2 * 86400


def test_a_host_is_given_what_the_profile_says_of_the_step(job):
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (2, 2)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "16", "memory": "64Gi"},
        "limits": {"memory": "64Gi", "nvidia.com/gpu": "8"},
    }
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    env = {
        variable["name"]: variable.get("value") or variable["valueFrom"]["secretKeyRef"]
        for variable in container["env"]
    }
    assert env["MLFLOW_TRACKING_URI"] == "http://mlflow.mlflow.svc:5000"
    assert env["VISAGE_RECIPE"] == "default"
    assert env["AWS_ACCESS_KEY_ID"] == {"name": "visage-bucket", "key": "access-key"}


def test_volumes_and_files_of_secrets_are_mounted_into_hosts_too():
    values = {
        "train_hosts": 1,
        "artifact_store": "/store",
        "volumes": [{"claim": "store", "mount": "/store"}],
        "secrets": [{"name": "company-ca", "files": "/etc/ca"}],
        "service_account": "visage-pipelines",
        "image_pull_secrets": ["registry"],
        "image_pull_policy": "Always",
        "steps": {"train": {"node_selector": {"disk": "ssd"}}},
    }
    job = train_job.manifest(ClusterProfile.model_validate(values), "demo")
    named = train_job.named(job, "run", "0123abcd", ["visage"])
    kubernetes_validate.validate(named, VERSION, strict=True)
    spec = named["spec"]["template"]["spec"]
    mounted = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    volumes = {mounted[volume["name"]]: volume for volume in spec["volumes"]}
    assert volumes["/store"]["persistentVolumeClaim"] == {"claimName": "store"}
    assert volumes["/etc/ca"]["secret"] == {"secretName": "company-ca"}
    assert (spec["serviceAccountName"], spec["imagePullSecrets"]) == ("visage-pipelines", [{"name": "registry"}])
    assert (spec["nodeSelector"], spec["containers"][0]["imagePullPolicy"]) == ({"disk": "ssd"}, "Always")
    assert hosts.HOSTS not in {variable["name"] for variable in spec["containers"][0]["env"]}, "one host trains alone"


def test_its_name_is_the_same_on_every_try_and_another_for_another_run_or_other_work():
    name = train_job.name_of("8f9d3c1e-0000-4000-8000-123456789012", "0123abcd")
    assert name == train_job.name_of("8f9d3c1e-0000-4000-8000-123456789012", "0123abcd")
    assert name.startswith("visage-train-8f9d3c1e-")
    others = {train_job.name_of(run, digest) for run in ("a", "b", "A", "Ä", "x" * 200) for digest in ("0", "1")}
    assert len(others) == 10
    assert all(len(f"{job_name}-999") <= 63 for job_name in others | {name}), "a host's name"


def test_hosts_find_each_other_by_the_service_of_the_namespace(job):
    service, policy = objects(IN_NAMESPACE)["Service"], objects(IN_NAMESPACE)["NetworkPolicy"]
    template = job["spec"]["template"]
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (port,) = template["spec"]["containers"][0]["ports"]
    assert {entry["port"] for entry in (*service["spec"]["ports"], *policy["spec"]["ingress"][0]["ports"])} == {
        port["containerPort"]
    }
    env = {variable["name"]: variable.get("value") for variable in template["spec"]["containers"][0]["env"]}
    name = job["metadata"]["name"]
    assert env[hosts.HOSTS] == f"{name}-0.visage-train:2222,{name}-1.visage-train:2222"


def test_its_pods_are_those_of_the_job_that_is_started_by_hand(job):
    """But for what the installations differ in, and for who tries again: there the Job does, here the step."""
    started, by_hand = (manifest["spec"]["template"]["spec"] for manifest in (job, objects(BY_HAND)["Job"]))
    differ = {"containers", "volumes", "subdomain", "serviceAccountName"}
    assert {key: value for key, value in started.items() if key not in differ} == {
        key: value for key, value in by_hand.items() if key not in differ
    }
    for key in ("name", "securityContext", "ports"):
        assert started["containers"][0][key] == by_hand["containers"][0][key]
    assert job["spec"]["backoffLimit"] == 0


def test_what_stands_in_settings_is_not_filled_in_by_kubernetes():
    job = train_job.manifest(ClusterProfile(train_hosts=1, artifact_store="s3://x"), "demo")
    named = train_job.named(job, "run", "0", ["visage", '{"source": {"path": "s3://a/$(HOME)"}}'])
    assert named["spec"]["template"]["spec"]["containers"][0]["args"][1] == '{"source": {"path": "s3://a/$$(HOME)"}}'


def test_its_command_is_one_that_visage_understands(job):
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    parsed = parser().parse_args(arguments[1:])
    assert (parsed.name, parsed.run, parsed.artifact_store) == ("train", "Run_1", "s3://visage-artifact-store")
    assert json.loads(parsed.settings)["train"] == {"epochs": 3}


class Hosts:
    """The Job's pods, as processes of this machine, each with a disk of its own."""

    def __init__(self, job, place: Path) -> None:
        self.processes, self.logs = [], []
        (container,) = job.spec.template.spec.containers
        addresses = ",".join(f"127.0.0.1:{free_port()}" for _ in range(job.spec.completions))
        for number in range(job.spec.completions):
            disk = place / f"host-{number}"
            disk.mkdir()
            env = {variable.name: variable.value for variable in container.env} | {
                hosts.HOSTS: addresses,
                hosts.JOB_INDEX: str(number),
            }
            arguments = [argument.replace("/work", str(disk)) for argument in container.args]
            assert arguments[0] == "visage"
            self.logs.append(disk / "log")
            self.processes.append(preloaded.visage(arguments[1:], disk, os.environ | env, self.logs[-1]))

    def end(self) -> None:
        try:
            for process in self.processes:
                process.join(500)
        finally:
            for process in self.processes:
                preloaded.kill(process)
        outputs = "\n".join(log.read_text() for log in self.logs)
        assert [process.exitcode for process in self.processes] == [0] * len(self.processes), outputs


@pytest.mark.slow
def test_the_train_step_of_the_pipeline_has_two_hosts_train_and_takes_what_they_made(
    tmp_path, monkeypatch, empty_registry
):
    shutil.copyfile(empty_registry, tmp_path / "mlflow.db")
    draw_archive(tmp_path / "photos", photos=200, seed=3)
    changed = [f"source.path={tmp_path / 'photos'}", "score.photos=[]", "train.epochs=1", "train.average=0"]
    profile = {
        "tracking_uri": f"sqlite:///{tmp_path}/mlflow.db",
        "artifact_store": str(tmp_path / "store"),
        "image_folders": [str(tmp_path)],
        "train_hosts": 2,
    }
    compile_pipeline(recipe.load("demo", changed), ClusterProfile.model_validate(profile), tmp_path / "visage.yaml")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with controllers(tmp_path) as cluster:
        night = Run(documents(tmp_path / "visage.yaml")[0], tmp_path, "night", {"KUBECONFIG": str(cluster.runner)})
        for name in ("ingest", "validate"):
            code, output = night.do(name)
            assert code == 0, output
        results = []
        step = threading.Thread(target=lambda: results.append(night.do("train")))
        step.start()
        job = cluster.started()
        try:
            Hosts(job, tmp_path).end()
            cluster.complete(job.metadata.name)
            step.join(500)
            assert cluster.all() == []
        finally:
            cluster.remove_all()
            step.join(500)
    ((code, output),) = results
    assert code == 0, output
    assert f"started the Job {job.metadata.name}" in output
    for number in range(2):
        assert f"host {number + 1} of 2" in (tmp_path / f"host-{number}" / "trained" / "report.html").read_text()
    assert read_manifest(night.artifact("train")) == read_manifest(tmp_path / "host-0" / "trained")
    assert "host 1 of 2" in night.artifact("train", "page").read_text()

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = [entry.experiment_id for entry in client.search_experiments() if entry.name == "visage"]
    runs = client.search_runs([experiment], "tags.`visage.run` = 'night'")
    assert sorted(run.data.tags["visage.step"] for run in runs) == ["ingest", "pipeline", "train", "validate"], (
        "one run of training, not one a host"
    )
