"""A small Kubeflow Pipelines server over loopback, for the SDK's own client: a real one needs Kubernetes.

It keeps what it is told, in the forms of version 2 of the server's interface, and runs nothing.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

IDS = {"experiments": "experiment_id", "runs": "run_id", "recurringruns": "recurring_run_id"}
LISTS = {"experiments": "experiments", "runs": "runs", "recurringruns": "recurringRuns"}


class Kubeflow(ThreadingHTTPServer):
    """What was made by kind; `refusal` is what it says to whoever wants something made."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Requests)
        self.kept: dict[str, dict[str, dict]] = {kind: {} for kind in IDS}
        self.refusal = None
        self.made = 0

    @property
    def host(self):
        return f"http://127.0.0.1:{self.server_port}"

    def all(self, kind):
        return list(self.kept[kind].values())


class Requests(BaseHTTPRequestHandler):
    server: Kubeflow

    def do_GET(self):
        kind, _ = self.place()
        if kind == "healthz":
            return self.answer({"multi_user": False})
        if kind not in IDS:
            return self.answer({}, 404)
        asked = parse_qs(urlsplit(self.path).query)
        [wanted] = json.loads(asked["filter"][0])["predicates"]
        found = [held for held in self.server.all(kind) if held[wanted["key"]] == wanted["stringValue"]]
        return self.answer({LISTS[kind]: found, "totalSize": len(found)})

    def do_POST(self):
        kind, _ = self.place()
        if self.server.refusal:
            return self.answer({"message": self.server.refusal}, 400)
        self.server.made += 1
        held = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        held[IDS[kind]] = f"{kind}-{self.server.made}"
        self.server.kept[kind][held[IDS[kind]]] = held
        return self.answer(held)

    def do_DELETE(self):
        kind, name = self.place()
        del self.server.kept[kind][name]
        return self.answer({})

    def place(self):
        kind, *name = urlsplit(self.path).path.removeprefix("/apis/v2beta1/").split("/")
        return kind, name[0] if name else ""

    def answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextmanager
def serving(port: int = 0) -> Iterator[Kubeflow]:
    """A server at this port of the machine, or at one that is free."""
    with Kubeflow(port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
