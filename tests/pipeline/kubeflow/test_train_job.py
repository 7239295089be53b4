"""Training on several hosts beside the compiled pipeline: a Job trains, and the pipeline takes from staging what it made.

The hosts are processes on loopback that are given what the indexed Job of infra/kubernetes/jobs/train-hosts gives its pods.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.train import devices
from pipeline import recipe
from pipeline.demo.archive import draw_archive
from pipeline.kubeflow.cluster_profile import ClusterProfile
from pipeline.kubeflow.compile import compile_pipeline
from schemas.artifact import read_manifest
from tests.cluster.go_servers import free_port
from tests.pipeline.kubeflow.launcher import Run
from tests.pipeline.kubeflow.test_compile import documents

pytest.importorskip("kfp", reason="the extra [kubeflow] is not installed")
pytestmark = [pytest.mark.long, pytest.mark.slow]


JOB = Path(__file__).parents[3] / "infra" / "kubernetes" / "jobs" / "train-hosts" / "train-hosts.yaml"


def container() -> list[str]:
    """Arguments of the Job's container."""
    (job,) = [held for held in yaml.safe_load_all(JOB.read_text()) if held["kind"] == "Job"]
    (held,) = job["spec"]["template"]["spec"]["containers"]
    return held["args"]


def start(arguments: list[str], place: Path, **environment: str) -> subprocess.Popen:
    """Start a command of Visage's with a staging place, in which it finds and leaves artifacts."""
    assert arguments[0] == "visage"
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *arguments[1:], "--staging", str(place / "staging")],
        cwd=place,
        env={name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process: subprocess.Popen) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def test_what_a_job_of_two_hosts_trained_is_taken_by_the_pipeline(tmp_path):
    draw_archive(tmp_path / "photos", photos=200, seed=3)
    changed = [f"source.path={tmp_path / 'photos'}", "score.photos=[]", "train.epochs=1", "train.average=0"]
    (tmp_path / "recipe.yaml").write_text(recipe.as_yaml(recipe.load("demo", changed)))
    profile = {
        "tracking_uri": f"sqlite:///{tmp_path}/mlflow.db",
        "staging": str(tmp_path / "staging"),
        "image_folders": [str(tmp_path)],
    }
    chosen = recipe.load(str(tmp_path / "recipe.yaml"))
    compile_pipeline(chosen, ClusterProfile.model_validate(profile), tmp_path / "visage.yaml")
    night = Run(documents(tmp_path / "visage.yaml")[0], tmp_path, "night", {})
    for name in ("ingest", "validate"):
        code, output = night.do(name)
        assert code == 0, output

    work = tmp_path / "work"
    common = ["visage", "step", "{}", "--recipe", str(tmp_path / "recipe.yaml")]
    examples = ["--input", "ingest", str(work / "examples")]
    for name, more in (
        ("ingest", ["--out", str(work / "examples")]),
        ("validate", [*examples, "--out", str(work / "validated")]),
    ):
        assert "reused from" in said(start([word.format(name) for word in common] + more, tmp_path))
    hosts = ",".join(f"127.0.0.1:{free_port()}" for _ in range(2))
    trainings = []
    for index in ("0", "1"):
        places = {"/etc/visage": str(tmp_path), "/work": str(work), "$(JOB_COMPLETION_INDEX)": index}
        arguments = container()
        for inside, here in places.items():
            arguments = [word.replace(inside, here) for word in arguments]
        trainings.append(start(arguments, tmp_path, **{devices.HOSTS: hosts, devices.JOB_INDEX: index}))
    for number, training in enumerate(trainings):
        assert "reused" not in said(training)
        assert f"host {number + 1} of 2" in (work / f"trained-{number}" / "report.html").read_text()
    made = [read_manifest(work / f"trained-{number}") for number in range(2)]
    assert made[0].fingerprint == made[1].fingerprint

    code, output = night.do("train")
    assert code == 0, output
    assert "train: reused from" in output
    assert read_manifest(night.artifact("train")) in made
