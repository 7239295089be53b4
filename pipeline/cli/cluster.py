"""`visage compile`, `visage submit` and `visage schedule`: the pipeline on Kubeflow Pipelines."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import Commands, add_recipe

if TYPE_CHECKING:
    from pipeline.kubeflow.client import Server
    from pipeline.kubeflow.compile import Containers

_SCHEDULE_EPILOG = """\
examples:
  visage schedule --cron '0 2 * * *' --image registry.example.com/visage:1 --set source.path=/data/imdb_crop
  visage schedule --remove
"""


def add(commands: Commands) -> None:
    """Add the commands."""
    compiled = commands.add("compile", _compile, "write the pipeline as Kubeflow Pipelines YAML")
    _add_containers(compiled)
    compiled.add_argument("--out", type=Path, default=Path("visage-pipeline.yaml"), metavar="FILE")

    submit = commands.add("submit", _submit, "run the pipeline once on a Kubeflow Pipelines server")
    _add_containers(submit)
    _add_server(submit)

    schedule = commands.add(
        "schedule", _schedule, "run the pipeline on a Kubeflow Pipelines server at given times", _SCHEDULE_EPILOG
    )
    _add_containers(schedule)
    _add_server(schedule)
    schedule.add_argument(
        "--name", default="visage", help="of the schedule; the same name replaces it (default: visage)"
    )
    when = schedule.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="TIMES", help="minute, hour, day of the month, month, day of the week; in UTC")
    when.add_argument("--remove", action="store_true", help="end the schedule of this name")


def _add_containers(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser)
    parser.add_argument(
        "--image", default="visage:latest", help="container image of the steps (default: visage:latest)"
    )
    parser.add_argument(
        "--tracking-uri",
        default="http://mlflow:5000",
        metavar="URI",
        help="MLflow server (default: http://mlflow:5000)",
    )
    parser.add_argument(
        "--gpus",
        type=int,
        choices=range(17),
        default=0,
        metavar="N",
        help="NVIDIA GPUs of the train step, of one node (default: 0)",
    )


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="http://localhost:8080",
        metavar="URL",
        help="Kubeflow Pipelines server (default: http://localhost:8080)",
    )
    parser.add_argument("--namespace", default="", metavar="NS", help="yours, where the server keeps users apart")


def _compile(arguments: argparse.Namespace) -> None:
    from pipeline import recipe
    from pipeline.kubeflow.compile import compile_pipeline

    chosen = recipe.load(arguments.recipe, arguments.set)
    compile_pipeline(chosen, _containers(arguments), arguments.out)
    print(f"{arguments.out}: the pipeline of the recipe {chosen.name} for Kubeflow Pipelines")


def _submit(arguments: argparse.Namespace) -> None:
    from pipeline import recipe
    from pipeline.kubeflow import client

    chosen = recipe.load(arguments.recipe, arguments.set)
    print(client.submit(chosen, _containers(arguments), _server(arguments)))


def _schedule(arguments: argparse.Namespace) -> None:
    from pipeline import recipe
    from pipeline.kubeflow import client

    if arguments.remove:
        ended = client.unschedule(_server(arguments), arguments.name)
        print(f"{arguments.name}: {ended or 'no'} schedule{'s' if ended > 1 else ''} ended")
        return
    chosen = recipe.load(arguments.recipe, arguments.set)
    print(client.schedule(chosen, _containers(arguments), _server(arguments), arguments.cron, arguments.name))


def _containers(arguments: argparse.Namespace) -> "Containers":
    from pipeline.kubeflow.compile import Containers

    return Containers(arguments.image, arguments.tracking_uri, arguments.gpus)


def _server(arguments: argparse.Namespace) -> "Server":
    from pipeline.kubeflow.client import Server

    return Server(arguments.host.rstrip("/"), arguments.namespace)
