"""The manifests of infra/kubernetes as kustomize builds them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

KUBERNETES = Path(__file__).parents[2] / "infra" / "kubernetes"
BUILDS = ("overlays/single-node", "overlays/production", "jobs/train", "jobs/train-hosts", "kubeflow")
"""The kustomizations that somebody applies."""

VERSION = "1.34"
"""Of Kubernetes, to whose schemas the manifests are held."""


def kustomize() -> list[str]:
    """The command that builds; the test is skipped where there is none."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            return command
    pytest.skip("neither kustomize nor kubectl is on the PATH")


def built(name: str, folder: Path) -> list[dict[str, Any]]:
    """All objects of a kustomization of a copy that `copy` made."""
    completed = subprocess.run([*kustomize(), str(folder / name)], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    return [manifest for manifest in yaml.safe_load_all(completed.stdout) if manifest]


def copy(folder: Path) -> Path:
    """A copy of the manifests in a folder, with passwords of its own: git ignores those of an installation."""
    target = folder / "kubernetes"
    shutil.copytree(KUBERNETES, target, ignore=shutil.ignore_patterns("secrets"))
    secrets = target / "overlays" / "single-node" / "secrets"
    subprocess.run(["sh", str(target / "make_secrets.sh"), str(secrets)], check=True, capture_output=True)
    return target


def pod_specs(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod of every object that starts some, by kind and name."""
    specs = {}
    for manifest in objects:
        spec = manifest.get("spec") or {}
        if manifest["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            specs[f"{manifest['kind']} {manifest['metadata']['name']}"] = spec["template"]["spec"]
    return specs


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """A pod's containers, those that come first among them."""
    return [*pod.get("initContainers", []), *pod["containers"]]
