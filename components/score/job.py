"""The Beam job: parts of the plan, spread over the workers, each scored and kept."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.metrics import Metrics

from components.beam_job import errors_reach_driver
from components.score import parts, plan
from components.score.parts import Counts
from components.score.plan import Plan, Stretch
from components.score.staged_model import StagedModel, fetch
from components.score.work import Work, score_part
from components.step.resources import cores
from components.storage.reading import Reader
from components.storage.remote import explaining


@dataclass(frozen=True)
class Places:
    """Where the workers of a job find what they need, and leave what they made: folders or URLs that all of them reach.

    Attributes:
        plan: of the plan's files.
        model: the packed estimator.
        parts: of what is kept of the parts.
    """

    plan: str
    model: StagedModel
    parts: str


def share_cores(workers: int) -> None:
    """Let TensorFlow use one thread for each worker, where there are as many workers as cores.

    Its own choice, all cores for every worker, makes them wait for each other: a sixth fewer faces a second.
    """
    if workers >= cores():
        with suppress(RuntimeError):  # it has computed before in this process, and cannot be told any more
            tf.config.threading.set_intra_op_parallelism_threads(1)


def build(
    begin: beam.PCollection, work: Work, places: Places, planned: Plan, done: Collection[int], workers: int
) -> None:
    """Lay the job out; what comes out lies where the parts are kept, a part at a time.

    The driver knows stretches of the plan, some thousand files in each, of which not all parts are done; workers take them
    apart, and see for themselves which are.

    Args:
        begin: one element, of any kind.
        work: that is to be done.
        places: of what is read and written.
        planned: the plan.
        done: parts that are kept already.
        workers: as many as the job has, about.
    """

    def with_something_left(stretches: Iterable[Stretch]) -> list[Stretch]:
        return [stretch for stretch in stretches if not all(number in done for number in range(*stretch))]

    apart = with_something_left(planned.stretches())
    together = with_something_left(planned.of_streams(workers))
    _ = (
        begin
        | "stretches" >> beam.FlatMap(lambda _: [(True, apart), (False, together)])
        | "parts" >> beam.FlatMapTuple(_stretches)
        | "spread" >> beam.Reshuffle()
        | "score" >> beam.ParDo(ScoreParts(work, places))
    )


def _stretches(apart: bool, stretches: Iterable[Stretch]) -> Iterable[Stretch]:
    """Stretches, or their parts, each as a stretch of its own."""
    return ((number, number + 1) for stretch in stretches for number in range(*stretch)) if apart else stretches


class ScoreParts(beam.DoFn):
    """Scores those parts of a stretch that are not done yet, one after another.

    Beam's RunInference would have to bring the predictions of a part together again before they can be kept, and all of
    them would wait in memory meanwhile; tests/benchmarks/scoring/faces.py compares the two.
    """

    def __init__(self, work: Work, places: Places) -> None:
        self._work, self._places = work, places
        self._counters = {name: Metrics.counter("score", name) for name in asdict(Counts())}
        self._faces_a_part = Metrics.distribution("score", "faces_a_part")

    def setup(self) -> None:
        with errors_reach_driver(self._places.parts):
            with explaining(self._places.plan):
                self._plan = plan.read(self._places.plan)
            self._model = fetch(self._places.model, self._work.precision)
            self._detector = self._work.finder()

    def process(self, stretch: Stretch) -> Iterator[Any]:
        folder, work = self._places.parts, self._work
        with errors_reach_driver(folder), Reader(self._plan.sources, work.photo.max_bytes) as reader:
            for number in range(*stretch):
                if not parts.is_done(folder, number):
                    part = score_part(work, self._plan, number, reader, self._model, self._detector)
                    parts.keep(folder, number, part)
                    self._count(part.counts)
        yield from ()

    def _count(self, counts: Counts) -> None:
        for name, count in asdict(counts).items():
            self._counters[name].inc(count)
        self._faces_a_part.update(counts.faces)
