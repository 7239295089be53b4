"""Beam's own counters and distributions of a job, as its workers kept them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.runners.runner import PipelineResult


class Counters:
    """What a pipeline counts. To be made before the pipeline is run.

    Runners count bundles that were done twice as they like, so these are for people, and nothing hangs on them.
    """

    def __init__(self, job: "beam.Pipeline") -> None:
        self._results: list[PipelineResult] = []
        run = job.run

        def kept(*arguments: Any, **options: Any) -> "PipelineResult":
            result = run(*arguments, **options)
            self._results.append(result)
            return result

        job.run = kept  # Beam hands the result to nobody but the caller of this

    def read(self, namespace: str) -> dict[str, int | dict[str, int]]:
        """The counters by name, and the distributions as count, sum, min and max; nothing where the runner does not tell them."""
        from apache_beam.metrics.metric import MetricsFilter

        try:
            told = self._results[0].metrics().query(MetricsFilter().with_namespace(namespace))
        except Exception:  # each runner fails in its own way, if it cannot tell
            return {}
        found: dict[str, int | dict[str, int]] = {}
        for held in told["counters"]:
            found[held.key.metric.name] = found.get(held.key.metric.name, 0) + held.result  # of several stages
        for held in told["distributions"]:
            names = ("count", "sum", "min", "max")
            found[held.key.metric.name] = {name: getattr(held.result, name) for name in names}
        return dict(sorted(found.items()))
