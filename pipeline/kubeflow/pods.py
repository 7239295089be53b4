"""A cluster profile on the tasks of a pipeline, as kfp and kfp-kubernetes write it."""

from collections.abc import Mapping
from typing import Any

from pipeline.kubeflow.cluster_profile import ClusterProfile, Pod, seconds

END_RUN = Pod(cpu="100m", memory="512Mi")
"""The task that ends the run in MLflow: a process of Python that asks a server."""


def set_up(task: Any, pod: Pod, profile: ClusterProfile) -> None:
    """Give a task what the profile says of all pods and of its own."""
    from kfp import kubernetes

    # Kubeflow knows settings and images of a step by name, and not which photos lie there tonight.
    task.set_caching_options(False)
    task.set_env_variable("MLFLOW_TRACKING_URI", profile.tracking_uri)
    for name, value in profile.env.items():
        task.set_env_variable(name, value)
    for secret in profile.secrets:
        for variables in _by_key(secret.env):
            kubernetes.use_secret_as_env(task, secret_name=secret.name, secret_key_to_env=variables)
        if secret.files:
            kubernetes.use_secret_as_volume(task, secret_name=secret.name, mount_path=secret.files)
    for volume in profile.volumes:
        kubernetes.mount_pvc(task, pvc_name=volume.claim, mount_path=volume.mount)
    if profile.image_pull_policy:
        kubernetes.set_image_pull_policy(task, profile.image_pull_policy)
    if profile.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, secret_names=list(profile.image_pull_secrets))
    for name, value in profile.labels.items():
        kubernetes.add_pod_label(task, name, value)
    _place(task, pod)
    if pod.time_limit:
        kubernetes.set_timeout(task, seconds=seconds(pod.time_limit))
    if pod.retries.count:
        task.set_retry(
            num_retries=pod.retries.count,
            backoff_duration=f"{seconds(pod.retries.wait)}s",
            backoff_factor=pod.retries.factor,
            backoff_max_duration=f"{seconds(pod.retries.longest)}s",
        )


def _by_key(env: Mapping[str, str]) -> list[dict[str, str]]:
    """The variables of a secret by its keys, as kfp takes them: in more than one mapping where several get one key."""
    mappings: list[dict[str, str]] = []
    for name, key in env.items():
        mapping = next((mapping for mapping in mappings if key not in mapping), None)
        if mapping is None:
            mappings.append(mapping := {})
        mapping[key] = name
    return mappings


def _place(task: Any, pod: Pod) -> None:
    """Resources, and the nodes that have them."""
    from kfp import kubernetes

    for text, set_one in (
        (pod.cpu, task.set_cpu_request),
        (pod.cpu_limit, task.set_cpu_limit),
        (pod.memory, task.set_memory_request),
        (pod.memory_limit, task.set_memory_limit),
    ):
        if text:
            set_one(text)
    if pod.gpus:
        task.set_accelerator_type(pod.gpu_type).set_accelerator_limit(pod.gpus)
    for name, value in pod.node_selector.items():
        kubernetes.add_node_selector(task, name, value)
    for toleration in pod.tolerations:
        kubernetes.add_toleration(task, **{name: value for name, value in toleration.model_dump().items() if value})
