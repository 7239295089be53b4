"""Metrics and tags of a step on their way to MLflow: the step does not wait for the server, and the server may be away."""

import logging
import re
import threading
import time
import unicodedata
from typing import TYPE_CHECKING

from components.registry.mlflow_server import explaining_mlflow_errors
from schemas.error import VisageError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, RunTag

log = logging.getLogger("visage.tracking")

_BATCH = 100
"""Metrics and tags sent at once; MLflow takes a thousand metrics and a hundred tags."""

_PAUSE = 3
"""Seconds between two tries, after the client has given up on its own."""


class MetricQueue:
    """Sends what it is given to one run, in order, from a thread of its own, and again until the server has it.

    A metric has the time at which it was given. The server takes one that it has already, with its time, as the same: what was
    sent twice, because the answer was lost, is there once.
    """

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._waiting: list[Metric | RunTag] = []
        self._changed = threading.Condition()
        self._closed = self._urgent = False
        self._begun = self._failed = 0
        self._cause: VisageError | None = None
        self._thread = threading.Thread(target=self._work, name="visage-metrics", daemon=True)
        self._thread.start()

    def metric(self, name: str, value: float, step: int | None) -> None:
        """Have a metric sent; `step` is the epoch, None for a figure without a course."""
        from mlflow.entities import Metric

        self._put(Metric(name_for_mlflow(name), float(value), time.time_ns() // 1_000_000, step or 0))

    def tag(self, name: str, value: str) -> None:
        """Have a tag set."""
        from mlflow.entities import RunTag

        self._put(RunTag(name, value))

    def flush(self) -> None:
        """Return when the server has all that was given; a server that is away is waited for as by every call.

        Raises:
            VisageError: it stays away, or refuses.
        """
        with self._changed:
            begun = self._begun
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting or self._failed > begun)
            self._urgent = False
            if self._waiting and self._cause:
                raise self._cause

    def close(self) -> None:
        """Send nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, item: "Metric | RunTag") -> None:
        with self._changed:
            self._waiting.append(item)
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                batch = self._waiting[:_BATCH]
                self._begun += 1
            try:
                self._send(batch)
            except VisageError as error:
                self._note(error)
                continue
            except Exception as error:  # without this thread `flush` would wait for ever
                self._note(VisageError(f"MLflow's client does not work: {type(error).__name__}: {error}."))
                continue
            with self._changed:
                if self._cause:
                    log.info("MLflow answers again; what was kept is being sent")
                    self._cause = None
                del self._waiting[: len(batch)]
                self._changed.notify_all()

    def _note(self, error: VisageError) -> None:
        with self._changed:
            if self._cause is None:
                log.warning("%s The figures are kept, and sent when it does.", error.message)
            self._cause, self._failed = error, self._begun
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._urgent or self._closed, timeout=_PAUSE)

    def _send(self, batch: "list[Metric | RunTag]") -> None:
        with explaining_mlflow_errors():
            from mlflow.entities import Metric, RunTag

            metrics = [item for item in batch if isinstance(item, Metric)]
            tags = [item for item in batch if isinstance(item, RunTag)]
            self._client.log_batch(self._run_id, metrics=metrics, tags=tags)


def name_for_mlflow(name: str) -> str:
    """A metric's name as MLflow takes it: signs that it refuses are written out, `60+` as `60 plus sign`.

    The name of an age class stands in it as the user chose it, and one that is refused would keep all later metrics back.
    """
    return "/".join(re.sub(r"[^\w.\- :]|^\.+$|^$", _written_out, part) for part in name.split("/"))


def _written_out(refused: re.Match[str]) -> str:
    names = [unicodedata.name(sign, f"character {ord(sign)}").lower() for sign in refused[0]]
    before, after = (" " * place for place in (refused.start() > 0, refused.end() < len(refused.string)))
    return f"{before}{' '.join(names) or 'nothing'}{after}"
