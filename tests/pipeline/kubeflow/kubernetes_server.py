"""As much of Kubernetes as a step that starts a Job asks for, over loopback: it keeps Jobs and shows pods, and runs nothing.

The same tests run against a real server by tests/cluster/apiserver.sh.
"""

# ruff: noqa: N802 - do_GET and its like are what http.server calls

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.pipeline.kubeflow import loopback
from tests.pipeline.kubeflow.loopback import JsonRequests

JOBS = "/apis/batch/v1/namespaces/kubeflow/jobs"
PODS = "/api/v1/namespaces/kubeflow/pods"


class Kubernetes(ThreadingHTTPServer):
    """What was made.

    Who shows `token` may what the role says, who shows `admin` all; `away` is how many requests it will not answer.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.jobs: dict[str, dict] = {}
        self.pods: list[dict] = []
        self.logs: dict[str, str] = {}
        self.token, self.admin = "of-the-runner", "of-the-administrator"
        self.away = 0
        self.made = 0

    def kubeconfig(self, token: str) -> str:
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}],
                "users": [{"name": "test", "user": {"token": token}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "kubeflow"}}],
                "current-context": "test",
            }
        )


class Requests(JsonRequests):
    server: Kubernetes

    def do_GET(self):
        path, query = self.begin()
        if path == JOBS:
            self.answer({"kind": "JobList", "apiVersion": "batch/v1", "items": list(self.server.jobs.values())})
        elif path.startswith(JOBS):
            job = self.server.jobs.get(self.name())
            self.answer(job) if job else self.fail(404, "not found")
        elif path == PODS:
            name, _, value = query["labelSelector"][0].partition("=")
            chosen = [pod for pod in self.server.pods if pod["metadata"]["labels"].get(name) == value]
            self.answer({"kind": "PodList", "apiVersion": "v1", "items": chosen})
        elif path.endswith("/log"):
            self.send(self.server.logs[path.split("/")[-2]].encode(), "text/plain")

    def do_POST(self):
        path, _ = self.begin()
        body = self.body()
        if path == PODS:
            self.server.pods.append(body)
            return self.answer(body, 201)
        name = body["metadata"]["name"]
        if name in self.server.jobs:
            return self.fail(409, f'jobs.batch "{name}" already exists')
        if "restartPolicy" not in body["spec"]["template"]["spec"]:
            return self.fail(422, "spec.template.spec.restartPolicy: Required value")
        self.server.made += 1
        body["metadata"] |= {"uid": f"uid-{self.server.made}", "namespace": "kubeflow"}
        self.server.jobs[name] = body | {"status": {}}
        return self.answer(self.server.jobs[name], 201)

    def do_PATCH(self):
        self.begin()
        change = self.body()
        job = self.server.jobs[self.name()]
        job["status"] |= change.get("status", {})
        if change.get("metadata", {}).get("finalizers", ()) is None and "deletionTimestamp" in job["metadata"]:
            del self.server.jobs[self.name()]
        self.answer(job)

    def do_DELETE(self):
        _, query = self.begin()
        if self.name() not in self.server.jobs:
            return self.fail(404, "not found")
        if query["propagationPolicy"] == ["Foreground"]:
            job = self.server.jobs[self.name()]
            job["metadata"]["deletionTimestamp"] = datetime.now(UTC).isoformat()
            job["metadata"]["finalizers"] = ["foregroundDeletion"]
        else:
            del self.server.jobs[self.name()]
        return self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def begin(self):
        address = urlsplit(self.path)
        return address.path, parse_qs(address.query)

    def parse_request(self):
        """Refuse, before anything is done, whoever may not, and everybody while the server is away."""
        if not super().parse_request():
            return False
        if self.server.away:
            self.server.away -= 1
            self.fail(503, "overburdened")
            return False
        token = self.headers["Authorization"]
        if token not in (f"Bearer {self.server.token}", f"Bearer {self.server.admin}"):
            self.fail(403, 'jobs.batch is forbidden: User "somebody" cannot create resource "jobs"')
            return False
        return True

    def name(self):
        return urlsplit(self.path).path.removeprefix(f"{JOBS}/").partition("/")[0]

    def fail(self, status, message):
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message}, status)


def serving() -> AbstractContextManager[Kubernetes]:
    """A server at a free port of the machine."""
    return loopback.serving(Kubernetes())
