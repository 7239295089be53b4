"""Runs on a Kubeflow Pipelines server: one now, or one whenever a schedule says.

Nothing is taken from Kubeflow's cache: it knows the settings of a step and not which photos lie there tonight.
"""

import contextlib
import json
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from typing import Any

from pipeline.kubeflow.compile import INSTALL, MISSING, PIPELINE, Containers, compile_pipeline
from pipeline.kubeflow.cron import with_seconds
from pipeline.recipe import Recipe
from schemas.error import VisageError

ANSWERS_WITHIN = 10
"""Seconds that the server has to say that it is there."""


@dataclass(frozen=True)
class Server:
    """A Kubeflow Pipelines server.

    Attributes:
        host: its address, such as the user interface has in a browser.
        namespace: of the user, where a server keeps users apart; else empty.
    """

    host: str
    namespace: str = ""


def submit(recipe: Recipe, containers: Containers, server: Server) -> str:
    """Start a run now; the address at which it can be watched.

    Raises:
        VisageError: kfp is not installed; the server does not answer or refuses.
    """
    with _talking(server) as client, _compiled(recipe, containers) as file:
        started = client.run_pipeline(
            _experiment(client, server), _name(recipe), pipeline_package_path=str(file), enable_caching=False
        )
    return f"{server.host}/#/runs/details/{started.run_id}"


def schedule(recipe: Recipe, containers: Containers, server: Server, cron: str, name: str) -> str:
    """Start a run whenever `cron` says, instead of what was scheduled under this name; the address of the schedule.

    A run that is due while the one before it goes on waits for it; runs that were missed are not made up for.

    Args:
        recipe: settings of every run.
        containers: what its steps run in.
        server: where to.
        cron: minute, hour, day of the month, month, day of the week; in the time zone of the server, UTC unless it was set.
        name: of the schedule.

    Raises:
        VisageError: no such times; no name; kfp is not installed; the server does not answer or refuses.
    """
    times = with_seconds(cron)
    if not name.strip():
        raise VisageError("The schedule has no name.", "Give it one with --name, or leave that out.", usage=True)
    with _talking(server) as client, _compiled(recipe, containers) as file:
        experiment, before = _experiment(client, server), _scheduled(client, server, name)
        made = client.create_recurring_run(
            experiment,
            name,
            cron_expression=times,
            max_concurrency=1,
            no_catchup=True,
            pipeline_package_path=str(file),
            enable_caching=False,
        )
        for old in before:
            client.delete_recurring_run(old)
    return f"{server.host}/#/recurringrun/details/{made.recurring_run_id}"


def unschedule(server: Server, name: str) -> int:
    """End what is scheduled under this name; how many schedules that were. Runs that have begun go on.

    Raises:
        VisageError: kfp is not installed; the server does not answer or refuses.
    """
    with _talking(server) as client:
        found = _scheduled(client, server, name)
        for schedule in found:
            client.delete_recurring_run(schedule)
    return len(found)


@contextlib.contextmanager
def _talking(server: Server) -> Iterator[Any]:
    """A client of the server; what goes wrong meanwhile becomes one message."""
    try:
        import kfp_server_api
        from kfp.client import Client
        from urllib3.exceptions import HTTPError
    except ImportError as error:
        raise VisageError(MISSING, INSTALL) from error
    _demand_answer(server)
    try:
        # It prints addresses of its own, and warns of servers of version 1.
        with contextlib.redirect_stdout(StringIO()), warnings.catch_warnings(action="ignore"):
            yield Client(server.host, namespace=server.namespace or "kubeflow")
    except kfp_server_api.ApiException as error:
        raise VisageError(f"{server.host} refuses: {error.status} {error.reason}. {_told(error.body)}") from error
    except HTTPError as error:
        raise VisageError(f"{server.host} does not answer any more: {error}") from error


def _demand_answer(server: Server) -> None:
    """Kubeflow's own client would try for half a minute, and say much meanwhile."""
    if not server.host.startswith(("http://", "https://")):
        raise VisageError(f"{server.host!r} is no address of a server: http://... is wanted.", usage=True)
    hint = "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80 makes it http://localhost:8080."
    try:
        with urllib.request.urlopen(f"{server.host}/apis/v2beta1/healthz", timeout=ANSWERS_WITHIN) as answer:
            json.load(answer)
    except (urllib.error.HTTPError, HTTPException, ValueError) as error:
        raise VisageError(f"{server.host} is not a Kubeflow Pipelines server of version 2: {error}.", hint) from error
    except OSError as error:
        raise VisageError(f"{server.host} does not answer: {getattr(error, 'reason', error)}.", hint) from error


@contextlib.contextmanager
def _compiled(recipe: Recipe, containers: Containers) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "visage.yaml"
        compile_pipeline(recipe, containers, file)
        yield file


def _experiment(client: Any, server: Server) -> str:
    """What Kubeflow groups runs by."""
    return str(client.create_experiment(PIPELINE, namespace=server.namespace or None).experiment_id)


def _scheduled(client: Any, server: Server, name: str) -> list[str]:
    same = {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}
    found = client.list_recurring_runs(page_size=100, namespace=server.namespace or None, filter=json.dumps(same))
    return [held.recurring_run_id for held in found.recurring_runs or []]


def _name(recipe: Recipe) -> str:
    return f"{PIPELINE} {recipe.name} {datetime.now(UTC):%Y-%m-%d %H:%M}"


def _told(body: Any) -> str:
    """What the server says of a refusal."""
    try:
        return str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        return ""
