"""A Job of Kubernetes that does a step's work: started, watched to its end, and removed, from within a pod or elsewhere."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.error import VisageError

log = logging.getLogger("visage.step")

POLL_SECONDS = 5.0
"""Seconds between two looks at the Job."""

PATIENCE = 300.0
"""Seconds for which a server that is away is asked again, and a Job that is being removed is waited for."""

_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_REQUEST_SECONDS = 30
_MISSING = "Kubernetes' client is not installed."


def run(job: Mapping[str, Any]) -> None:
    """Have a Job do its work: start it, show how it gets on and what its first pod says, and remove it when it is done.

    A Job of that name that is there already is watched, and not started a second time; one that has failed, or is on its way
    out, gives way first. If this process is told to end, the Job is removed with it. A Job that fails stays, for its logs.

    Raises:
        VisageError: it failed, or somebody removed it; Kubernetes refuses it or does not answer.
    """
    _Watch(_Server(), job).to_the_end()


class _Watch:
    """One Job, and what was last logged of it."""

    def __init__(self, server: "_Server", job: Mapping[str, Any]) -> None:
        self.server, self.job = server, job
        self.name: str = job["metadata"]["name"]
        self.hosts: int = job["spec"]["completions"]
        self.last_line = 0.0
        self.last_status = ""

    def to_the_end(self) -> None:
        try:
            self._have_it_started()
            while not self._is_done():
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            self._remove_at_the_end()
            raise
        self._remove_at_the_end()

    def _have_it_started(self) -> None:
        began = time.monotonic()
        while True:
            existing = self.server.job(self.name)
            if existing is None and self.server.create(self.job):
                log.info("started the Job %s in the namespace %s", self.name, self.server.namespace)
                return
            if existing and not existing.metadata.deletion_timestamp:
                if not _condition(existing, "Failed"):
                    log.info("the Job %s is there already: it is waited for", self.name)
                    return
                log.info("the Job %s failed before: it is started anew", self.name)
                self.server.remove(self.name, with_pods=True)
            if time.monotonic() - began > PATIENCE:
                raise VisageError(
                    f"The Job {self.name} of an earlier try is still being removed.",
                    f"See what holds it: `kubectl -n {self.server.namespace} get pods -l job-name={self.name}`.",
                )
            time.sleep(POLL_SECONDS)

    def _is_done(self) -> bool:
        """Whether the Job is complete; what is new about it is told.

        Raises:
            VisageError: it failed, or is not there any more.
        """
        job = self.server.job(self.name)
        if job is None or job.metadata.deletion_timestamp:
            raise VisageError(
                f"The Job {self.name} was removed while it was at work.",
                "Its checkpoints are in the artifact store: a retry of the step goes on from there.",
            )
        pods = self.server.pods(self.name)
        self._log_status(job, pods)
        self._print_log(pods)
        failed = _condition(job, "Failed")
        if failed:
            logs = f"`kubectl -n {self.server.namespace} logs -l job-name={self.name} --prefix`"
            raise VisageError(
                f"The Job {self.name} has failed: {failed.reason}: {failed.message}",
                f"What its first pod said stands above; {logs} shows all, for as long as the Job stays. A retry of the step "
                "goes on from the last checkpoint in the artifact store.",
            )
        return bool(_condition(job, "Complete"))

    def _log_status(self, job: Any, pods: list[Any]) -> None:
        ready, succeeded = job.status.ready or 0, job.status.succeeded or 0
        line = f"{self.name}: {ready} of {self.hosts} hosts at work, {succeeded} done"
        waiting = [reason for reason in map(_why_it_waits, pods) if reason]
        if waiting:
            line += f"; {waiting[0]}"
        if line != self.last_status:
            log.info("%s", line)
            self.last_status = line

    def _print_log(self, pods: list[Any]) -> None:
        """Show what the first pod has said since the last time."""
        for pod in pods:
            if (pod.metadata.labels or {}).get("batch.kubernetes.io/job-completion-index") != "0":
                continue
            for at, line in self.server.log(pod.metadata.name, since=self.last_line):
                print(line, flush=True)
                self.last_line = max(at, self.last_line)

    def _remove_at_the_end(self) -> None:
        try:
            self.server.remove(self.name)
        except VisageError as error:
            log.warning("the Job %s stays: %s", self.name, error.message)


class _Server:
    """Kubernetes, with the rights and in the namespace of this pod, or of the kubeconfig.

    Raises:
        VisageError: nothing says where it is.
    """

    def __init__(self) -> None:
        try:
            from kubernetes import client, config
        except ImportError as error:
            raise VisageError(_MISSING, "In the image it comes with the extra [cloud].") from error
        configuration = client.Configuration()
        try:
            if os.environ.get("KUBERNETES_SERVICE_HOST"):
                config.load_incluster_config(configuration)
                self.namespace = _IN_POD.read_text().strip()
            else:
                file = os.environ.get("KUBECONFIG")
                config.load_kube_config(file, client_configuration=configuration)
                _, active = config.list_kube_config_contexts(file)
                self.namespace = active["context"].get("namespace", "default")
        except (config.ConfigException, OSError) as error:
            raise VisageError(
                f"No cluster is known to start a Job on: {error}",
                "Run it in a pod whose account may, or name a kubeconfig in KUBECONFIG.",
            ) from error
        api_client = client.ApiClient(configuration)
        self._jobs, self._core = client.BatchV1Api(api_client), client.CoreV1Api(api_client)

    def create(self, job: Mapping[str, Any]) -> bool:
        """Make a Job; whether it was not there yet."""
        created = self._ask(self._jobs.create_namespaced_job, self.namespace, dict(job), unless=409)
        return created is not None

    def job(self, name: str) -> Any | None:
        """A Job as it is now; None where it is not there."""
        return self._ask(self._jobs.read_namespaced_job, name, self.namespace, unless=404)

    def remove(self, name: str, *, with_pods: bool = False) -> None:
        """Remove a Job: at once, its pods following, or `with_pods`, after the last of them."""
        policy = "Foreground" if with_pods else "Background"
        self._ask(
            self._jobs.delete_namespaced_job, name, self.namespace, propagation_policy=policy, unless=404, patience=20
        )

    def pods(self, job: str) -> list[Any]:
        """A Job's pods; none where they cannot be seen, as they are only shown."""
        with suppress(VisageError):
            return list(
                self._ask(self._core.list_namespaced_pod, self.namespace, label_selector=f"job-name={job}").items
            )
        return []

    def log(self, pod: str, since: float) -> list[tuple[float, str]]:
        """Lines that a pod's container has said after a time, each with its own; none where they cannot be had."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        seconds = {"since_seconds": max(1, int(time.time() - since) + 2)} if since else {}
        try:
            text = self._core.read_namespaced_pod_log(
                pod, self.namespace, timestamps=True, _request_timeout=_REQUEST_SECONDS, **seconds
            )
        except (ApiException, HTTPError):  # it has not started, or its node is away
            return []
        lines = [(_time(line.partition(" ")[0]), line.partition(" ")[2]) for line in text.splitlines()]
        return [(at, line) for at, line in lines if at > since]

    def _ask(
        self,
        request: Callable[..., Any],
        *arguments: Any,
        unless: int = 0,
        patience: float | None = None,
        **options: Any,
    ) -> Any:
        """Make a request, again and again while the server is away or overburdened; None where it answers `unless`."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        began = time.monotonic()
        while True:
            try:
                return request(*arguments, _request_timeout=_REQUEST_SECONDS, **options)
            except ApiException as error:
                if error.status == unless:
                    return None
                if error.status < 500 and error.status != 429:
                    raise self._refused(error) from error
                why = f"{error.status} {error.reason}"
            except HTTPError as error:
                why = str(error)
            if time.monotonic() - began > (PATIENCE if patience is None else patience):
                raise VisageError(f"Kubernetes does not answer: {why}", "What was done stays; try the step again.")
            log.warning("Kubernetes does not answer (%s): it is asked again", why)
            time.sleep(POLL_SECONDS)

    def _refused(self, error: Any) -> VisageError:
        try:
            message = json.loads(error.body)["message"]
        except (TypeError, ValueError, KeyError):
            message = error.reason
        if error.status in (401, 403):
            return VisageError(
                f"Kubernetes does not let the step start a Job in {self.namespace}: {message}",
                "Give its account the role of infra/kubernetes/kubeflow.",
            )
        return VisageError(
            f"Kubernetes does not take the Job: {message}", "See train_hosts and steps.train in the cluster profile."
        )


def _condition(job: Any, kind: str) -> Any | None:
    """The condition of a Job that is so; None where it is not."""
    for condition in job.status.conditions or ():
        if condition.type == kind and condition.status == "True":
            return condition
    return None


def _why_it_waits(pod: Any) -> str:
    """Why a pod has not begun, as the scheduler or its node says; empty where it has, or where nobody says."""
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False" and condition.message:
            return str(condition.message)
    for container in pod.status.container_statuses or ():
        waiting = container.state.waiting if container.state else None
        if waiting and waiting.reason not in (None, "ContainerCreating", "PodInitializing"):
            return f"{waiting.reason}: {waiting.message or ''}".rstrip(": ")
    return ""


def _time(stamp: str) -> float:
    """Seconds since 1970 of a time such as 2026-11-26T18:00:00.123456789Z; 0 where it is none."""
    seconds, _, fraction = stamp.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{seconds}+00:00").timestamp() + float(f"0.{fraction or 0}")
    except ValueError:
        return 0.0
