"""Runs on a Kubeflow Pipelines server: one now, or one whenever a schedule says; and what is scheduled there."""

import contextlib
import json
import os
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

from pipeline.kubeflow.cluster_profile import ClusterProfile
from pipeline.kubeflow.compile import INSTALL, MISSING, PIPELINE, compile_pipeline
from pipeline.kubeflow.cron import with_seconds
from pipeline.recipe import Recipe
from schemas.error import VisageError

ANSWERS_WITHIN = 10
"""Seconds that the server has to say that it is there."""


TOKEN = "KUBEFLOW_TOKEN"
"""Variable of a token; a file on the command line goes before it, and a pod's own service account comes after it."""


@dataclass(frozen=True)
class Server:
    """A Kubeflow Pipelines server.

    Attributes:
        host: its address, such as the user interface has in a browser.
        namespace: of the user, where a server keeps users apart; else empty.
        experiment: what runs are grouped by; made if it is not there.
        token_file: file with a token; None: as `token_of` says.
    """

    host: str
    namespace: str = ""
    experiment: str = PIPELINE
    token_file: Path | None = None


@dataclass(frozen=True)
class Schedule:
    """What is scheduled on a server.

    Attributes:
        number: the server's own name of it.
        name: what people call it.
        cron: when it runs, without the second.
        paused: whether it does not.
    """

    number: str
    name: str
    cron: str
    paused: bool


def submit(recipe: Recipe, profile: ClusterProfile, server: Server) -> str:
    """Start a run now; the address at which it can be watched.

    Raises:
        VisageError: kfp is not installed; no photos are named; the server does not answer or refuses.
    """
    _demand_source(recipe)
    with _compiled(recipe, profile, server) as file, _talking(server) as client:
        started = client.run_pipeline(
            _experiment(client, server),
            _name(recipe),
            pipeline_package_path=str(file),
            enable_caching=False,
            service_account=profile.service_account or None,
        )
    return f"{server.host}/#/runs/details/{started.run_id}"


def schedule(recipe: Recipe, profile: ClusterProfile, server: Server, cron: str, name: str) -> str:
    """Start a run whenever `cron` says, instead of what was scheduled under this name; the address of the schedule.

    A run that is due while the one before it goes on waits for it; runs that were missed are not made up for.

    Args:
        recipe: settings of every run.
        profile: what the steps' pods are given.
        server: where to.
        cron: minute, hour, day of the month, month, day of the week; in the time zone of the server, UTC unless it was set.
        name: of the schedule.

    Raises:
        VisageError: no such times; no name; no photos are named; kfp is not installed; the server does not answer or refuses.
    """
    times = with_seconds(cron)
    _demand_source(recipe)
    if not name.strip():
        raise VisageError("The schedule has no name.", "Give it one with --name, or leave that out.", usage=True)
    with _compiled(recipe, profile, server) as file, _talking(server) as client:
        experiment, previous_schedules = _experiment(client, server), _scheduled(client, server, name)
        recurring_run = client.create_recurring_run(
            experiment,
            name,
            cron_expression=times,
            max_concurrency=1,
            no_catchup=True,
            pipeline_package_path=str(file),
            enable_caching=False,
            service_account=profile.service_account or None,
        )
        for previous in previous_schedules:
            client.delete_recurring_run(previous.number)
    return f"{server.host}/#/recurringrun/details/{recurring_run.recurring_run_id}"


def schedules(server: Server) -> list[Schedule]:
    """All that is scheduled on a server, for the namespace, by name.

    Raises:
        VisageError: kfp is not installed; the server does not answer or refuses.
    """
    with _talking(server) as client:
        return sorted(_scheduled(client, server), key=lambda scheduled: scheduled.name)


def unschedule(server: Server, name: str) -> int:
    """End what is scheduled under this name; how many schedules that were. Runs that have begun go on.

    Raises:
        VisageError: kfp is not installed; the server does not answer or refuses.
    """
    with _talking(server) as client:
        named = _scheduled(client, server, name)
        for scheduled in named:
            client.delete_recurring_run(scheduled.number)
    return len(named)


def pause(server: Server, name: str, *, paused: bool) -> None:
    """Start no more runs of what is scheduled under this name, or start them again.

    Raises:
        VisageError: nothing is; kfp is not installed; the server does not answer or refuses.
    """
    with _talking(server) as client:
        named = _scheduled(client, server, name)
        if not named:
            names = sorted({scheduled.name for scheduled in _scheduled(client, server)})
            raise VisageError(
                f"{server.host} has no schedule {name}.",
                f"It has {', '.join(names)}." if names else "It has none.",
                usage=True,
            )
        for scheduled in named:
            (client.disable_recurring_run if paused else client.enable_recurring_run)(scheduled.number)


def token_of(server: Server) -> str:
    """The token to show the server: of the file that was named, of KUBEFLOW_TOKEN, or of the pod's service account; else empty.

    Raises:
        VisageError: the file cannot be read, or is empty.
    """
    if server.token_file is None and os.environ.get(TOKEN):
        return os.environ[TOKEN].strip()
    file = server.token_file
    if file is None:
        from kfp import client as kfp_client

        named = os.environ.get(kfp_client.KF_PIPELINES_SA_TOKEN_ENV)
        file = Path(named or kfp_client.KF_PIPELINES_SA_TOKEN_PATH)
        if not named and not file.is_file():
            return ""
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise VisageError(f"The token of Kubeflow Pipelines cannot be read: {error}", usage=True) from error
    if not token:
        raise VisageError(f"{file} holds no token.", usage=True)
    return token


@contextlib.contextmanager
def _talking(server: Server) -> Iterator[Any]:
    """A client of the server; what goes wrong meanwhile becomes one message."""
    try:
        import kfp_server_api
        from kfp.client import Client
        from urllib3.exceptions import HTTPError
    except ImportError as error:
        raise VisageError(MISSING, INSTALL) from error
    token = token_of(server)
    _demand_answer(server, token)
    try:
        # It prints addresses of its own, and warns of servers of version 1.
        with contextlib.redirect_stdout(StringIO()), warnings.catch_warnings(action="ignore"):
            yield Client(server.host, namespace=server.namespace or "kubeflow", existing_token=token or None)
    except kfp_server_api.ApiException as error:
        hint = _SIGN_IN if error.status in (401, 403) else ""
        raise VisageError(
            f"{server.host} refuses: {error.status} {error.reason}. {_message_of(error.body)}", hint
        ) from error
    except HTTPError as error:
        raise VisageError(f"{server.host} does not answer any more: {error}") from error


_SIGN_IN = (
    f"It wants a token, by --token-file FILE or the variable {TOKEN}; within the cluster that of a service account, mounted. The "
    "namespace that is yours you name with --namespace."
)


def _demand_answer(server: Server, token: str) -> None:
    """Kubeflow's own client would try for half a minute, and say much meanwhile."""
    if not server.host.startswith(("http://", "https://")):
        raise VisageError(f"{server.host!r} is no address of a server: http://... is wanted.", usage=True)
    hint = "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80 makes it http://localhost:8080."
    try:
        request = urllib.request.Request(f"{server.host}/apis/v2beta1/healthz")
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
            if "html" in answer.headers.get("Content-Type", ""):
                raise VisageError(f"{server.host} answers with a page, perhaps to sign in.", f"{_SIGN_IN} {hint}")
            health = json.load(answer)
    except (urllib.error.HTTPError, HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
            raise VisageError(f"{server.host} refuses: {error.code} {error.reason}.", _SIGN_IN) from error
        raise VisageError(f"{server.host} is not a Kubeflow Pipelines server of version 2: {error}.", hint) from error
    except OSError as error:
        raise VisageError(f"{server.host} does not answer: {getattr(error, 'reason', error)}.", hint) from error
    if isinstance(health, dict) and health.get("multi_user") and not server.namespace:
        raise VisageError(
            f"{server.host} keeps users apart.", "Name the namespace that is yours with --namespace.", usage=True
        )


def _demand_source(recipe: Recipe) -> None:
    if not recipe.settings.source.path:
        raise VisageError(
            "No photos are named: source.path is empty.",
            "Name them, for instance --set source.path=s3://photos/imdb_crop.",
            usage=True,
        )


@contextlib.contextmanager
def _compiled(recipe: Recipe, profile: ClusterProfile, server: Server) -> Iterator[Path]:
    if not profile.links.kubeflow:
        profile = profile.model_copy(update={"links": profile.links.model_copy(update={"kubeflow": server.host})})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "visage.yaml"
        compile_pipeline(recipe, profile, file)
        yield file


def _experiment(client: Any, server: Server) -> str:
    """What Kubeflow groups runs by."""
    return str(client.create_experiment(server.experiment, namespace=server.namespace or None).experiment_id)


def _scheduled(client: Any, server: Server, name: str = "") -> list[Schedule]:
    """What is scheduled, under a name if one is given."""
    name_filter = {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]} if name else {}
    recurring_runs: list[Any] = []
    token = ""
    while True:
        page = client.list_recurring_runs(
            page_token=token,
            page_size=100,
            namespace=server.namespace or None,
            filter=json.dumps(name_filter) if name_filter else None,
        )
        recurring_runs += page.recurring_runs or []
        token = page.next_page_token or ""
        if not token:
            return [_schedule_of(recurring_run) for recurring_run in recurring_runs]


def _schedule_of(recurring_run: Any) -> Schedule:
    cron = recurring_run.trigger and recurring_run.trigger.cron_schedule and recurring_run.trigger.cron_schedule.cron
    times = cron.partition(" ")[2] if cron else "at intervals"
    return Schedule(
        recurring_run.recurring_run_id, recurring_run.display_name, times, recurring_run.status != "ENABLED"
    )


def _name(recipe: Recipe) -> str:
    return f"{PIPELINE} {recipe.name} {datetime.now(UTC):%Y-%m-%d %H:%M}"


def _message_of(body: Any) -> str:
    """What the server says of a refusal."""
    try:
        return str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        return ""
