"""A small Kubeflow Pipelines server over loopback, for the SDK's own client: a real one needs Kubernetes.

It keeps what it is told, in the forms of version 2 of the server's interface, and runs nothing.
"""

# ruff: noqa: N802 - do_GET and its like are what http.server calls

import json
from contextlib import AbstractContextManager
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.pipeline.kubeflow import loopback
from tests.pipeline.kubeflow.loopback import JsonRequests

IDS = {"experiments": "experiment_id", "runs": "run_id", "recurringruns": "recurring_run_id"}
LISTS = {"experiments": "experiments", "runs": "runs", "recurringruns": "recurringRuns"}


class Kubeflow(ThreadingHTTPServer):
    """What was made by kind.

    `refusal` is what it says to whoever wants something made; with a `token` it keeps users apart and knows those who show it; a
    `page` is how many it lists at once.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Requests)
        self.kept: dict[str, dict[str, dict]] = {kind: {} for kind in IDS}
        self.refusal = None
        self.token = ""
        self.page = 100
        self.made = 0

    @property
    def host(self):
        return f"http://127.0.0.1:{self.server_port}"

    def all(self, kind):
        return list(self.kept[kind].values())


class Requests(JsonRequests):
    server: Kubeflow

    def do_GET(self):
        kind, _, _ = self.place()
        if self.is_stranger():
            return self.answer({"message": "who are you?"}, 401)
        if kind == "healthz":
            return self.answer({"multi_user": bool(self.server.token)})
        if kind not in IDS:
            return self.answer({}, 404)
        query = parse_qs(urlsplit(self.path).query)
        found = self.server.all(kind)
        for wanted in json.loads(query["filter"][0])["predicates"] if "filter" in query else ():
            found = [entry for entry in found if entry[wanted["key"]] == wanted["stringValue"]]
        begin = int(query.get("page_token", ["0"])[0] or 0)
        end = begin + self.server.page
        rest = {"next_page_token": str(end)} if end < len(found) else {}
        return self.answer({LISTS[kind]: found[begin:end], "totalSize": len(found), **rest})

    def do_POST(self):
        kind, name, verb = self.place()
        if self.is_stranger():
            return self.answer({"message": "who are you?"}, 401)
        if verb:
            self.server.kept[kind][name]["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[verb]
            return self.answer({})
        if self.server.refusal:
            return self.answer({"message": self.server.refusal}, 400)
        self.server.made += 1
        entry = self.body()
        entry[IDS[kind]] = f"{kind}-{self.server.made}"
        if kind == "recurringruns":
            entry["status"] = "ENABLED"
        self.server.kept[kind][entry[IDS[kind]]] = entry
        return self.answer(entry)

    def do_DELETE(self):
        kind, name, _ = self.place()
        del self.server.kept[kind][name]
        return self.answer({})

    def place(self):
        """Kind, name and verb of what is asked for: `recurringruns/NAME:disable`."""
        kind, _, name = urlsplit(self.path).path.removeprefix("/apis/v2beta1/").partition("/")
        name, _, verb = name.partition(":")
        return kind, name, verb

    def is_stranger(self):
        return bool(self.server.token) and self.headers["Authorization"] != f"Bearer {self.server.token}"


def serving(port: int = 0) -> AbstractContextManager[Kubeflow]:
    """A server at this port of the machine, or at one that is free."""
    return loopback.serving(Kubeflow(port))
