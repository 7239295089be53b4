"""The Beam job: parts of the plan, spread over the workers, each scored and kept."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import apache_beam as beam
import tensorflow as tf

from components.beam_job import errors_reach_driver
from components.score.detect import detector
from components.score.parts import Work, estimator, score_part, tally_of
from components.step.resources import cores
from components.storage.reading import Reader


def share_cores(workers: int) -> None:
    """Let TensorFlow use one thread for each worker, where there are as many workers as cores.

    Its own choice, all cores for every worker, makes them wait for each other: a sixth fewer faces a second.
    """
    if workers >= cores():
        with suppress(RuntimeError):  # it has computed before in this process, and cannot be told any more
            tf.config.threading.set_intra_op_parallelism_threads(1)


def build(pipeline: beam.Pipeline, work: Work, work_units: list[list[int]]) -> None:
    """Lay the job out on a pipeline; what comes out lies in the output folder, a part at a time."""
    _ = pipeline | beam.Create(work_units) | "spread" >> beam.Reshuffle() | "score" >> beam.ParDo(ScoreWorkUnit(work))


class ScoreWorkUnit(beam.DoFn):
    """Scores those parts of a stretch that are not done yet, one after another.

    Beam's RunInference would have to bring the predictions of a part together again before they can be kept, and all of
    them would wait in memory meanwhile; tests/benchmarks/scoring/faces.py compares the two.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    def setup(self) -> None:
        with errors_reach_driver(self._work.output):
            estimator(self._work.model, self._work.precision)
            kind = self._work.detector
            self._detector = detector(kind, self._work.min_score) if kind else None

    def process(self, stretch: list[int]) -> Iterator[Any]:
        work = self._work
        with errors_reach_driver(work.output), Reader(work.plan.sources, work.photo.max_bytes) as reader:
            for number in stretch:
                if tally_of(work.output, number) is None:
                    score_part(work, number, reader, self._detector)
        yield from ()
