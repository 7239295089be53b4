"""`visage compile`, `visage submit` and `visage schedule`: the pipeline on Kubeflow Pipelines."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import Commands, add_recipe, local_path

if TYPE_CHECKING:
    from pipeline.kubeflow.client import Schedule, Server
    from pipeline.kubeflow.cluster_profile import ClusterProfile

_SCHEDULE_EPILOG = """\
examples:
  visage schedule --cron '0 2 * * *' --cluster infra/kubeflow/bucket.yaml --set source.path=s3://photos/imdb_crop
  visage schedule --list
  visage schedule --pause
  visage schedule --remove
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    compiled = commands.add("compile", _compile, "write the pipeline as Kubeflow Pipelines YAML")
    _add_profile(compiled)
    compiled.add_argument("--out", type=local_path, default=Path("visage-pipeline.yaml"), metavar="FILE")

    submit = commands.add("submit", _submit, "run the pipeline once on a Kubeflow Pipelines server")
    _add_profile(submit)
    _add_server(submit)

    schedule = commands.add(
        "schedule", _schedule, "run the pipeline on a Kubeflow Pipelines server at given times", _SCHEDULE_EPILOG
    )
    _add_profile(schedule)
    _add_server(schedule)
    schedule.add_argument(
        "--name", default="visage", help="of the schedule; the same name replaces it (default: visage)"
    )
    when = schedule.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="TIMES", help="minute, hour, day of the month, month, day of the week; in UTC")
    when.add_argument("--list", action="store_true", help="show what is scheduled")
    when.add_argument("--pause", action="store_true", help="start no more runs of the schedule of this name")
    when.add_argument("--resume", action="store_true", help="start them again")
    when.add_argument("--remove", action="store_true", help="end the schedule of this name")


def _add_profile(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser)
    parser.add_argument(
        "--cluster",
        type=local_path,
        metavar="FILE",
        help="cluster profile: image, resources, volumes, secrets and more; see pipeline/kubeflow/README.md",
    )
    parser.add_argument("--image", help="container image of the steps (default: the profile's, else visage:latest)")
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow server (default: the profile's, else http://mlflow:5000)"
    )
    parser.add_argument(
        "--gpus",
        type=int,
        choices=(0, 1, 2, 4, 8, 16),
        metavar="N",
        help="GPUs of the train step, of one node: 1, 2, 4, 8 or 16 (default: the profile's, else none)",
    )


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="http://localhost:8080",
        metavar="URL",
        help="Kubeflow Pipelines server (default: http://localhost:8080)",
    )
    parser.add_argument("--namespace", default="", metavar="NS", help="yours, where the server keeps users apart")
    parser.add_argument(
        "--experiment",
        default="visage",
        metavar="NAME",
        help="what runs are grouped by; made if missing (default: visage)",
    )
    parser.add_argument(
        "--token-file",
        type=local_path,
        metavar="FILE",
        help="with a token for the server (default: KUBEFLOW_TOKEN, else the pod's service account, else none)",
    )


def _compile(arguments: argparse.Namespace) -> None:
    from pipeline import recipe
    from pipeline.kubeflow.compile import compile_pipeline

    chosen = recipe.load(arguments.recipe, arguments.set)
    compile_pipeline(chosen, _profile(arguments), arguments.out)
    print(f"{arguments.out}: the pipeline of the recipe {chosen.name} for Kubeflow Pipelines")
    if not chosen.settings.source.path:
        print("No photos are named: give every run its source.path, in its parameter settings.")


def _submit(arguments: argparse.Namespace) -> None:
    from pipeline import recipe
    from pipeline.kubeflow import client

    chosen = recipe.load(arguments.recipe, arguments.set)
    print(client.submit(chosen, _profile(arguments), _server(arguments)))


def _schedule(arguments: argparse.Namespace) -> None:
    from pipeline import recipe
    from pipeline.kubeflow import client

    server, name = _server(arguments), arguments.name
    if arguments.list:
        _show(client.schedules(server))
    elif arguments.pause or arguments.resume:
        client.pause(server, name, paused=arguments.pause)
        print(f"{name}: {'paused' if arguments.pause else 'resumed'}")
    elif arguments.remove:
        ended = client.unschedule(server, name)
        print(f"{name}: {ended or 'no'} schedule{'s' if ended > 1 else ''} ended")
    else:
        chosen = recipe.load(arguments.recipe, arguments.set)
        print(client.schedule(chosen, _profile(arguments), server, arguments.cron, name))


def _show(schedules: "list[Schedule]") -> None:
    if not schedules:
        print("Nothing is scheduled.")
        return
    width = max(len(schedule.name) for schedule in schedules)
    for schedule in schedules:
        print(f"{schedule.name:{width}}  {schedule.cron}{'  paused' if schedule.paused else ''}")


def _profile(arguments: argparse.Namespace) -> "ClusterProfile":
    from pipeline.kubeflow import cluster_profile

    options = {
        "image": arguments.image,
        "tracking_uri": arguments.tracking_uri,
        "steps": None if arguments.gpus is None else {"train": {"gpus": arguments.gpus}},
    }
    return cluster_profile.load(arguments.cluster, {key: value for key, value in options.items() if value is not None})


def _server(arguments: argparse.Namespace) -> "Server":
    from pipeline.kubeflow.client import Server

    return Server(arguments.host.rstrip("/"), arguments.namespace, arguments.experiment, arguments.token_file)
