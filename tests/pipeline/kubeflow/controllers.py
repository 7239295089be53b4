"""What the controllers of a cluster do with Jobs, done by tests through the API: nothing here runs a pod.

VISAGE_TEST_CLUSTER names a folder with two kubeconfigs for a real server, `admin` and `runner`, as tests/cluster/apiserver.sh
makes them; without it a small server of this folder stands for it.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.pipeline.kubeflow import kubernetes_server
from tests.pipeline.kubeflow.kubernetes_server import Kubernetes

NAMESPACE = "kubeflow"


class Controllers:
    """An administrator's hands on the Jobs of the namespace.

    Attributes:
        runner: kubeconfig of the account that the pipeline's steps have.
        server: that stands for Kubernetes; None where it is a real one.
    """

    def __init__(self, admin: Path, runner: Path, server: Kubernetes | None) -> None:
        from kubernetes import client, config

        self.runner, self.server = runner, server
        self.jobs = client.BatchV1Api(config.new_client_from_config(str(admin)))

    def all(self) -> list[Any]:
        return list(self.jobs.list_namespaced_job(NAMESPACE).items)

    def started(self, besides: str = "") -> Any:
        """The Job that is there, as soon as one is, other than that of a uid."""
        return until(lambda: [job for job in self.all() if job.metadata.uid != besides])[0]

    def complete(self, name: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = {"succeeded": 2, "completedIndexes": "0-1", "ready": 0, "completionTime": now}
        self._status(name, status, ("SuccessCriteriaMet", "Complete"), "CompletionsReached", "Reached expected number")

    def fail(self, name: str) -> None:
        self._status(
            name,
            {"failed": 1, "ready": 0},
            ("FailureTarget", "Failed"),
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit",
        )

    def let_go(self, name: str) -> None:
        """What the garbage collector does once the pods of a Job that is being removed are gone."""
        self.jobs.patch_namespaced_job(name, NAMESPACE, {"metadata": {"finalizers": None}})

    def remove_all(self) -> None:
        for job in self.all():
            self.jobs.delete_namespaced_job(job.metadata.name, NAMESPACE, propagation_policy="Background")

    def _status(self, name: str, status: dict, kinds: tuple[str, ...], reason: str, message: str) -> None:
        """A Job's end. What comes before it a server of 1.31 or later demands: it holds conditions to an order."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        conditions = [
            {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
            for kind in kinds
        ]
        for count in range(1, len(kinds) + 1):
            final_status = status if count == len(kinds) else {}
            change = {"startTime": now, "active": 0, "terminating": 0, "uncountedTerminatedPods": {}, **final_status}
            self.jobs.patch_namespaced_job_status(
                name, NAMESPACE, {"status": {**change, "conditions": conditions[:count]}}
            )


@contextmanager
def controllers(folder: Path) -> Iterator[Controllers]:
    """Hands on a cluster that has no Jobs."""
    real = os.environ.get("VISAGE_TEST_CLUSTER")
    if real:
        cluster = Controllers(Path(real) / "admin", Path(real) / "runner", None)
        cluster.remove_all()
        yield cluster
        cluster.remove_all()
        return
    with kubernetes_server.serving() as server:
        for name, token in (("admin", server.admin), ("runner", server.token)):
            (folder / name).write_text(server.kubeconfig(token))
        yield Controllers(folder / "admin", folder / "runner", server)


def until(look: Any) -> Any:
    """What a function gives, once it gives something."""
    for _ in range(15_000):
        if value := look():
            return value
        time.sleep(0.02)
    raise AssertionError("it has not come")
