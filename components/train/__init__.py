"""Train: from shards to a saved estimator.

- run: the step: one model, or one a fold;
- one_model: one model, from its splits to its estimator;
- ensemble: a model a fold, and their average;
- dataset: shards to batches, with tf.data;
- augment: changes a batch of faces without changing age or gender;
- loop: epochs, validation, early stopping;
- learner: the model in training, an epoch of steps, one validation;
- tensorflow_steps, jax_steps: one step, on either backend;
- optimizer: optimizer, learning rate, moving average of the weights;
- balance: what rare labels count;
- devices, hosts: what it runs on, and where of several;
- checkpoint: what a killed run goes on from;
- curves, report: how it went, as a table, as pictures and as a page.
"""

from collections.abc import Iterable
from pathlib import Path

from components.estimator.settings import ApplicationSettings
from components.step import Step
from components.train import hosts
from components.train.run import run
from components.train.settings import Settings
from schemas.record import TRAIN, VALIDATION


def _weights_beside_graph(settings: Settings) -> tuple[str, Iterable[str]]:
    """Where a graph has its files of weights, and their names."""
    from components.estimator import tfjs

    backbone = settings.estimator.backbone
    if not isinstance(backbone, ApplicationSettings) or not backbone.weights_are_a_graph:
        return "", ()
    graph = Path(backbone.weights)
    return str(graph.parent), tfjs.files(graph)


STEP = Step(
    name="train",
    summary="Fit the estimator to the training split; keep the weights that were best on the validation split.",
    settings=Settings,
    inputs=("ingest", "validate"),
    run=run,
    report_globs=("report.html", "**/history.csv", "**/*.png"),
    splits=(TRAIN, VALIDATION),
    resumable=True,
    gates=("validate",),
    pages=("curves", "report"),
    files_outside=_weights_beside_graph,
    host_number=hosts.number,
)
