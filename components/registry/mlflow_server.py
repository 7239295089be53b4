"""Talking to MLflow: where its server is, how long one that is away is waited for, and one message where it stays away."""

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from schemas.error import VisageError
from schemas.redaction import redact

PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "6",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
"""Environment variables of MLflow: waits of 4, 8, 16, 32 and 64 seconds; its own defaults go on for four minutes."""

AS_MODEL_TRAINING = "workflowType=machine_learning"
"""Query of an address in MLflow's user interface. Since its pages have a switch between both, the browser's last choice counts,
at first language models, and not the tag of the experiment."""

FIRST_ANSWER = 20
"""Seconds that a server has to answer this process for the first time."""

_BY_A_PROXY = (502, 503, 504)
"""Answers of what stands before a server that is away."""

_TRY, _PAUSE = 5, 1
"""Seconds until a first try counts as not answered, and between two of them."""


def client() -> Any:
    """An MLflow client. A server that has answered and goes away is tried again for two minutes, then it counts as gone.

    Raises:
        VisageError: the server has not answered this process yet, and does not within `FIRST_ANSWER` seconds.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    import mlflow

    for uri in {mlflow.get_tracking_uri(), mlflow.get_registry_uri()}:
        if uri.startswith("sqlite:"):
            _make_store(uri)
        elif uri.startswith(("http://", "https://")):
            _wait_for_first_answer(uri)
    return mlflow.MlflowClient()


def where() -> str:
    """The address of the server or store, without the password that may stand in it."""
    import mlflow

    return redact(mlflow.get_registry_uri())


@contextmanager
def explaining_mlflow_errors() -> Iterator[None]:
    """Turn what goes wrong between here and MLflow into one message; hold nothing else inside it.

    Raises:
        VisageError: the server does not answer, refuses, or its store is damaged.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        raise VisageError(
            f"MLflow at {where()} does not answer as it should: {_cause(error)}",
            "What was made so far is kept. Check MLFLOW_TRACKING_URI and that the server runs, then give the same command "
            "again: it goes on from here.",
        ) from error


@cache
def _wait_for_first_answer(uri: str) -> None:
    """Return when a server answers whatever it may; the calls that follow are more patient and tell more."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request
    from requests import RequestException

    deadline = time.monotonic() + FIRST_ANSWER
    credentials = get_default_host_creds(uri)
    with explaining_mlflow_errors():
        while True:
            try:
                answer = http_request(credentials, "/health", "GET", max_retries=0, timeout=_TRY, raise_on_status=False)
                if answer.status_code not in _BY_A_PROXY:
                    return
                raise RequestException(f"{answer.status_code} {answer.reason}")
            except Exception:
                if time.monotonic() + _PAUSE > deadline:
                    raise
            time.sleep(_PAUSE)


def _make_store(uri: str) -> None:
    """Make a SQLite store that is not there yet; whoever else is at it is waited for.

    MLflow makes its tables by a hundred migrations, in the open: two processes that begin at once break them, and one that is
    killed leaves a store that no command can use. Here the store is made under another name and renamed when it is whole.
    """
    from sqlalchemy.engine import make_url

    url = make_url(uri)
    if not url.database or url.database == ":memory:" or _is_there(store := Path(url.database)):
        return
    with explaining_mlflow_errors():
        store.parent.mkdir(parents=True, exist_ok=True)
        with store.with_name(f".{store.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_there(store):
                return
            import mlflow

            logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it tells of every table
            partial = store.with_name(f".{store.name}.partial")
            for remains in store.parent.glob(f"{partial.name}*"):
                remains.unlink()
            partial_uri = url.set(database=str(partial)).render_as_string(hide_password=False)
            mlflow.MlflowClient(partial_uri, partial_uri).search_experiments(max_results=1)
            partial.rename(store)


def _is_there(store: Path) -> bool:
    return store.exists() and store.stat().st_size > 0


def _cause(error: Exception) -> str:
    """The part of a library's message that tells a person something, in one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    refused = re.search(r"Caused by \w+\((.*)\)\)", lines[0])
    return redact(refused[1].rpartition(": ")[2].strip("\"')") if refused else lines[0])
