"""Beam's own counters and distributions of a job, as its workers kept them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apache_beam.runners.runner import PipelineResult


def counters(result: "PipelineResult", namespace: str) -> dict[str, int | dict[str, int]]:
    """The counters by name, and the distributions as count, sum, min and max; nothing where the runner does not tell them.

    Runners count bundles that were done twice as they like, so these are for people, and nothing hangs on them.
    """
    from apache_beam.metrics.metric import MetricsFilter

    try:
        metrics = result.metrics().query(MetricsFilter().with_namespace(namespace))
    except Exception:  # each runner fails in its own way, if it cannot tell
        return {}
    counted: dict[str, int | dict[str, int]] = {}
    for metric in metrics["counters"]:
        before = counted.get(metric.key.metric.name, 0)
        counted[metric.key.metric.name] = before + metric.result  # of several stages
    for metric in metrics["distributions"]:
        names = ("count", "sum", "min", "max")
        counted[metric.key.metric.name] = {name: getattr(metric.result, name) for name in names}
    return dict(sorted(counted.items()))
