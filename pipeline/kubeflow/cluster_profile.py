"""The cluster profile: what the steps' pods are given, a small YAML file.

With its defaults it is what a pipeline is compiled with that is given no file.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, create_model, model_validator

from components.step import settings
from components.step.settings import Section
from pipeline.dag import STEPS
from schemas.error import VisageError
from schemas.redaction import holds_secret

TRAIN_FOLDERS = {"work": "/work", "tmp": "/tmp", "shared-memory": "/dev/shm"}
"""Folders that hosts of a training have of their own, by the name of the volume."""

_SIZES = {"": 1, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _name(text: str) -> str:
    if not re.fullmatch(r"\S+", text):
        raise ValueError("it names nothing")
    return text


def _object(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", text):
        raise ValueError("a name in Kubernetes has small letters, digits, - and .")
    return text


def _cores(text: str) -> str:
    if text and not re.fullmatch(r"\d+(\.\d+)?|\d+m", text):
        raise ValueError("write cores as 2, 0.5 or 500m")
    return text


def _memory(text: str) -> str:
    if text and not re.fullmatch(r"\d+(\.\d+)?(Ki|[MGT]i?)?", text):
        raise ValueError("write memory as 4Gi or 512Mi")
    return text


def _duration(text: str) -> str:
    if text and not re.fullmatch(r"[1-9]\d*[smhd]", text):
        raise ValueError("write a time as 90s, 30m, 6h or 2d")
    return text


def _inside(path: str) -> str:
    if not path.startswith("/") or path.rstrip("/") == "" or ".." in path.split("/"):
        raise ValueError("write the path of a folder in the pod, from / on")
    return path.rstrip("/")


def _address(text: str) -> str:
    if text and not re.fullmatch(r"https?://\S+", text):
        raise ValueError("write it as http://... or https://...")
    return text.rstrip("/")


Name = Annotated[str, AfterValidator(_name)]
ObjectName = Annotated[str, AfterValidator(_object)]
Cores = Annotated[str, AfterValidator(_cores)]
Memory = Annotated[str, AfterValidator(_memory)]
Duration = Annotated[str, AfterValidator(_duration)]
FolderInPod = Annotated[str, AfterValidator(_inside)]
Address = Annotated[str, AfterValidator(_address)]


def seconds(duration: str) -> int:
    """Seconds of a time such as 30m."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def _millicores(text: str) -> float:
    return float(text.removesuffix("m")) * (1 if text.endswith("m") else 1000) if text else 0.0


def _bytes(text: str) -> float:
    number = re.match(r"[\d.]*", text)
    size = number[0] if number else ""
    return float(size) * _SIZES[text[len(size) :]] if size else 0.0


class _Plain(Section):
    model_config = ConfigDict(coerce_numbers_to_str=True)  # YAML reads cpu: 2 and a label's 1 as numbers


class Toleration(_Plain):
    """A taint of nodes that the pods may run on all the same, as Kubernetes has it."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class Retries(_Plain):
    """What happens when a step fails or its pod is lost."""

    count: int = Field(2, ge=0, le=20, description="how often it is tried again")
    wait: Duration = Field("1m", min_length=2, description="before the first retry")
    factor: float = Field(2.0, ge=1, le=10, description="by which each wait is longer than the one before")
    longest: Duration = Field("1h", min_length=2, description="the longest wait")


class Pod(_Plain):
    """What the pod of one step is given; empty: no limit, or any node."""

    cpu: Cores = Field("", description="cores that are kept for it")
    cpu_limit: Cores = Field("", description="cores that it may take")
    memory: Memory = Field("", description="memory that is kept for it")
    memory_limit: Memory = Field("", description="memory that it may take; it is killed when it takes more")
    gpus: Literal[0, 1, 2, 4, 8, 16] = Field(0, description="GPUs of one node; Kubeflow takes these numbers alone")
    gpu_type: Name = Field("nvidia.com/gpu", description="what the nodes call their GPUs")
    node_selector: dict[str, str] = Field({}, description="labels that its node must have")
    tolerations: tuple[Toleration, ...] = Field((), description="taints that its node may have")
    time_limit: Duration = Field("", description="after which it is ended and has failed, such as 6h")
    retries: Retries = Retries()

    @model_validator(mode="after")
    def _limits_are_no_less_than_requests(self) -> Self:
        for resource, size, limit in (
            ("cpu", _millicores(self.cpu), _millicores(self.cpu_limit)),
            ("memory", _bytes(self.memory), _bytes(self.memory_limit)),
        ):
            if limit and size > limit:
                raise ValueError(f"{resource}_limit is less than {resource}, and no node takes such a pod")
        return self


class Volume(_Plain):
    """A claim that is there already, mounted into every step's pod."""

    claim: ObjectName
    mount: FolderInPod = Field(description="folder of the pod, from / on")


class Secret(_Plain):
    """A secret of the namespace, for every step's pod: as variables, as files, or both."""

    name: ObjectName
    env: dict[str, str] = Field(
        {}, description="which variable gets which key of it: `{AWS_ACCESS_KEY_ID: access-key}`"
    )
    files: FolderInPod | None = Field(None, description="folder of the pod in which each of its keys is a file")

    @model_validator(mode="after")
    def _is_used(self) -> Self:
        if not self.env and self.files is None:
            raise ValueError("say which variables (env) or which folder (files) it becomes")
        return self


class Links(_Plain):
    """Addresses as people have them in a browser, for the links from one user interface to the other."""

    kubeflow: Address = Field("", description="of Kubeflow Pipelines; empty: --host, where there is one")
    mlflow: Address = Field("", description="of MLflow; empty: tracking_uri")


_REQUESTS = {
    "ingest": {"cpu": "1", "memory": "2Gi"},
    "validate": {"cpu": "500m", "memory": "2Gi"},
    "train": {"cpu": "1", "memory": "4Gi"},
    "evaluate": {"cpu": "1", "memory": "2Gi"},
    "register": {"cpu": "500m", "memory": "2Gi"},
    "score": {"cpu": "1", "memory": "2Gi"},
}
"""What is kept for a step where the profile says nothing: enough for the demo, on nodes of two cores."""

with warnings.catch_warnings(action="ignore"):  # validate and register were methods of pydantic's once
    _Pods: Any = create_model(
        "Pods",
        __base__=_Plain,
        **{step.name: (Pod, Pod(**_REQUESTS.get(step.name, {}))) for step in STEPS},  # type: ignore[call-overload]
    )


class ClusterProfile(_Plain):
    """What a cluster gives the steps."""

    image: Name = Field("visage:latest", description="container image of the steps")
    gpu_image: str = Field("", pattern=r"^\S*$", description="of steps with GPUs; empty: image")
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = Field(
        "", description="empty: the cluster's own"
    )
    image_pull_secrets: tuple[ObjectName, ...] = Field((), description="secrets with the registry's credentials")
    tracking_uri: Name = Field("http://mlflow:5000", description="MLflow server, as seen from the pods")
    artifact_store: str = Field(
        "",
        description="folder of a volume, or URL of a bucket, in which artifacts are kept that later runs need not make again, "
        "and the checkpoints from which a retry goes on; empty: neither",
    )
    service_account: str = Field(
        "", pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$", description="of the runs' pods; empty: the server's default"
    )
    labels: dict[str, str] = Field({}, description="of every pod")
    env: dict[str, str] = Field(
        {}, description="variables of every step, no secrets: `{AWS_ENDPOINT_URL: http://minio:9000}`"
    )
    secrets: tuple[Secret, ...] = ()
    volumes: tuple[Volume, ...] = ()
    image_folders: tuple[FolderInPod, ...] = Field((), description="folders of the image that photos may lie in")
    train_hosts: int = Field(
        0,
        ge=0,
        le=1000,
        description="hosts that train together: pods of a Job that the train step starts, each with what `steps.train` says; "
        "0: it trains in its own pod",
    )
    links: Links = Links()
    steps: _Pods = Field(_Pods(), description=f"of each step: {', '.join(step.name for step in STEPS)}")

    @model_validator(mode="after")
    def _env_holds_no_secret(self) -> Self:
        """A file of credentials in a folder of the pod may be named, as by GOOGLE_APPLICATION_CREDENTIALS."""
        folders = [*self.image_folders, *self._mounts()]
        values = {
            name: value
            for name, value in self.env.items()
            if not any(PurePosixPath(normpath(value)).is_relative_to(folder) for folder in folders)
        }
        if holds_secret(values):
            raise ValueError(
                "env: everybody can read what stands here; make a credential a secret of the cluster, and name it under secrets"
            )
        return self

    @model_validator(mode="after")
    def _mounts_differ(self) -> Self:
        mounts = self._mounts()
        for mount in mounts:
            if mounts.count(mount) > 1:
                raise ValueError(f"two volumes or secrets are mounted at {mount}")
            if self.train_hosts and mount in TRAIN_FOLDERS.values():
                raise ValueError(f"hosts that train have a folder of their own at {mount}: mount it elsewhere")
        return self

    @model_validator(mode="after")
    def _hosts_share_a_place(self) -> Self:
        if self.train_hosts and not self.artifact_store:
            raise ValueError(
                "train_hosts wants artifact_store: what the hosts train from, and what they have trained, goes by way of it"
            )
        return self

    def _mounts(self) -> list[str]:
        """Folders at which the pods have volumes and secrets."""
        return [volume.mount for volume in self.volumes] + [secret.files for secret in self.secrets if secret.files]

    def pod(self, step: str) -> Pod:
        """What the pod of a step is given."""
        pod = getattr(self.steps, step)
        assert isinstance(pod, Pod)
        return pod

    def image_of(self, step: str) -> str:
        """The image that a step runs in."""
        return self.gpu_image if self.gpu_image and self.pod(step).gpus else self.image


def load(file: Path | None, options: Mapping[str, Any]) -> ClusterProfile:
    """A profile from its file, if there is one, with what was given besides.

    Args:
        file: YAML with the profile's keys.
        options: keys and values that go before the file's.

    Raises:
        VisageError: the file cannot be read; a key or value is wrong.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = settings.load_yaml(file.read_text(), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise VisageError(f"The cluster profile {file} cannot be read: {error}", usage=True) from error
    defaults = {"steps": {step: dict(requests) for step, requests in _REQUESTS.items()}}
    merged = settings.merge(ClusterProfile, settings.merge(ClusterProfile, defaults, values), options)
    profile_name = "the cluster profile" if file is None else f"the cluster profile {file}"
    return settings.build(ClusterProfile, merged, where=profile_name)
