"""Training on hosts of its own: the indexed Job that the compiled pipeline's train step starts and waits for.

Its pods are what the cluster profile says of the train step, one a host. They take what ingest and validate made from the
artifact store, and the first of them leaves there what it has trained, and its checkpoints. What it needs in the namespace, an
address for its hosts and the right to start it, is infra/kubernetes/kubeflow.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from components.step.settings import Section
from components.train.hosts import HOSTS
from pipeline.kubeflow.cluster_profile import TRAIN_FOLDERS, ClusterProfile, Pod, seconds
from schemas.artifact import Manifest

SERVICE = "visage-train"
"""Headless service of the namespace by which hosts find each other."""

HOST_LABEL = "visage.train/hosts"
"""Label of the pods: the service and network policies choose them by it, and no two of them share a node."""

PORT = 2222
RUN_LABEL = "visage.run"

TTL_SECONDS = 86400
"""Seconds for which a Job that has failed stays, with its pods and their logs."""

_GRACE = 600
"""Seconds that the step which waits is given beyond the Job's own time, so that it is the Job's end that is told."""


def starter(pod: Pod) -> Pod:
    """What the train step's own pod is given where it only starts a Job and waits."""
    limit = f"{seconds(pod.time_limit) + _GRACE}s" if pod.time_limit else ""
    return Pod(cpu="250m", memory="1Gi", time_limit=limit, retries=pod.retries)


def manifest(profile: ClusterProfile, recipe: str) -> dict[str, Any]:
    """The Job as profile and recipe, by its name, decide it; `named` completes it.

    A host that fails, or is evicted, fails the Job: the others cannot go on without it. Trying again is left to the step, so that
    all hosts begin anew together, with the same checkpoint.
    """
    pod = profile.pod("train")
    spec: dict[str, Any] = {
        "completionMode": "Indexed",
        "completions": profile.train_hosts,
        "parallelism": profile.train_hosts,
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": TTL_SECONDS,
    }
    if pod.time_limit:
        spec["activeDeadlineSeconds"] = seconds(pod.time_limit)
    # Istio's proxy, which Kubeflow keeps out of its own pods too, would never let the Job end.
    labels = {
        "app.kubernetes.io/name": "visage",
        "sidecar.istio.io/inject": "false",
        **profile.labels,
        HOST_LABEL: "true",
    }
    spec["template"] = {"metadata": {"labels": labels}, "spec": _pod_spec(profile, pod, recipe)}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"labels": dict(profile.labels)}, "spec": spec}


def named(job: Mapping[str, Any], run: str, fingerprint: str, arguments: Sequence[str]) -> dict[str, Any]:
    """A Job of `manifest` with its name, which is the same on every try, and what its containers run.

    Args:
        job: as `manifest` makes it.
        run: key of the pipeline run.
        fingerprint: of what will be trained.
        arguments: command of every host.
    """
    completed: dict[str, Any] = json.loads(json.dumps(job))
    name = name_of(run, fingerprint)
    completed["metadata"]["name"] = name
    completed["metadata"]["labels"][RUN_LABEL] = _slug(run, 63)
    (container,) = completed["spec"]["template"]["spec"]["containers"]
    container["args"] = [
        argument.replace("$(", "$$(") for argument in arguments
    ]  # Kubernetes puts variables in the place of $(NAME)
    hosts = completed["spec"]["completions"]
    if hosts > 1:
        addresses = ",".join(f"{name}-{number}.{SERVICE}:{PORT}" for number in range(hosts))
        container["env"].append({"name": HOSTS, "value": addresses})
    return completed


def name_of(run: str, fingerprint: str) -> str:
    """Name of the Job of a pipeline run; with a host's number behind it, it is a name for a host too."""
    digest = hashlib.sha256(f"{run}/{fingerprint}".encode()).hexdigest()
    return f"visage-train-{_slug(run, 30)}-{digest[:10]}"


def command(settings: Section, run: str, store: str, inputs: Mapping[str, Manifest], kubeflow: str = "") -> list[str]:
    """What every host runs: the train step, with inputs from the artifact store.

    Args:
        settings: of the step.
        run: key of the pipeline run.
        store: the artifact store.
        inputs: manifest of every input artifact, by the input's name.
        kubeflow: address of Kubeflow's user interface; empty where it is not known.
    """
    changed = json.dumps(settings.model_dump(mode="json", exclude_defaults=True))
    arguments = ["visage", "step", "train", "--settings", changed, "--run", run, "--artifact-store", store]
    for name, input_manifest in inputs.items():
        arguments += ["--stored", name, input_manifest.fingerprint]
    if kubeflow:
        arguments += ["--kubeflow-ui", kubeflow]
    return [*arguments, "--out", f"{TRAIN_FOLDERS['work']}/trained"]


def _slug(text: str, longest: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:longest].strip("-") or "run"


def _pod_spec(profile: ClusterProfile, pod: Pod, recipe: str) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [
        {"name": "work", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
    ]
    mounts = [{"name": name, "mountPath": folder} for name, folder in TRAIN_FOLDERS.items()]
    for number, volume in enumerate(profile.volumes):
        volumes.append({"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": volume.claim}})
        mounts.append({"name": f"claim-{number}", "mountPath": volume.mount})
    for number, secret in enumerate(profile.secrets):
        if secret.files:
            volumes.append({"name": f"secret-{number}", "secret": {"secretName": secret.name}})
            mounts.append({"name": f"secret-{number}", "mountPath": secret.files})
    spec: dict[str, Any] = {
        "subdomain": SERVICE,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 120,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(profile, pod, recipe, mounts)],
        "volumes": volumes,
    }
    if profile.train_hosts > 1:
        apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {HOST_LABEL: "true"}}}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    if profile.service_account:
        spec["serviceAccountName"] = profile.service_account
    if profile.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in profile.image_pull_secrets]
    if pod.node_selector:
        spec["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        spec["tolerations"] = [
            {name: value for name, value in toleration.model_dump().items() if value} for toleration in pod.tolerations
        ]
    return spec


def _container(profile: ClusterProfile, pod: Pod, recipe: str, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    variables = {"MLFLOW_TRACKING_URI": profile.tracking_uri, "VISAGE_RECIPE": recipe, **profile.env}
    env: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in variables.items()]
    for secret in profile.secrets:
        for name, key in secret.env.items():
            env.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key}}})
    requests = {"cpu": pod.cpu, "memory": pod.memory}
    limits = {"cpu": pod.cpu_limit, "memory": pod.memory_limit, pod.gpu_type: str(pod.gpus) if pod.gpus else ""}
    return {
        "name": "visage",
        "image": profile.image_of("train"),
        **({"imagePullPolicy": profile.image_pull_policy} if profile.image_pull_policy else {}),
        "env": env,
        "ports": [{"name": "training", "containerPort": PORT}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {
            "requests": {name: size for name, size in requests.items() if size},
            "limits": {name: size for name, size in limits.items() if size},
        },
        "volumeMounts": mounts,
    }
