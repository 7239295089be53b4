"""Faces-only archives: the job beside the bare model, the naive loop and Beam's RunInference."""

import argparse
import io
import itertools
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.benchmarks.scoring.job import BATCH, apart, in_turn, job, load
from tests.benchmarks.scoring.material import batches_of, face_files, write_zip


def figures(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Rates of the job over an archive of faces, of the bare model on batches in memory, of the naive loop and RunInference.

    `faces_model` is the model as it was loaded, `faces_model_frozen` with its weights as constants, as the job computes it.
    """
    data = face_files()
    archive = write_zip(folder / "faces.zip", itertools.islice(itertools.cycle(data), options.faces))
    few = write_zip(folder / "few.zip", data[:500])
    rates = in_turn(
        {
            "faces_model": apart(bare_model, model, options.faces),
            "faces_model_frozen": apart(bare_model, model, options.faces, "float32", True),
            "faces_job": apart(job, few, archive, model, folder / "job", options.workers, {}),
            "naive": apart(naive, model),
            "run_inference": apart(run_inference, archive, model, options.workers),
        },
        options.rounds,
    )
    for other in ("faces_model", "faces_model_frozen", "naive", "run_inference"):
        rates[f"faces_job_to_{other}"] = rates["faces_job"] / rates[other]
    return rates


def bare_model(model: Path, count: int, precision: str = "float32", constants: bool = False) -> float:
    """Rate of the compiled model over batches in memory, with TensorFlow's own threads."""
    estimator = load(model, precision)
    forward = estimator._outputs if constants else compiled(estimator.network)
    return rate(forward, batches_of(face_files(), estimator.size, BATCH), count)


def compiled(network: Any, **options: Any) -> Callable[[Any], Any]:
    """A network as one graph, from uint8 pixels."""
    import tensorflow as tf

    return tf.function(lambda batch: network(tf.cast(batch, tf.float32), training=False), **options)


def rate(forward: Callable[[Any], Any], batches: list[np.ndarray], count: int) -> float:
    """Faces a second of a function over batches in memory."""
    calls = -(-count // len(batches[0]))
    forward(batches[0])
    started = time.perf_counter()
    for batch in itertools.islice(itertools.cycle(batches), calls):
        forward(batch)["age"].numpy()
    return calls * len(batches[0]) / (time.perf_counter() - started)


def naive(model: Path, count: int = 300) -> float:
    """Open, resize, `model.predict` on one image: the loop that everybody writes."""
    network, size, data = load(model).network, load(model).size, face_files()[: count + 1]

    def predict(image: bytes) -> None:
        picture = Image.open(io.BytesIO(image)).convert("RGB").resize((size, size))
        network.predict(np.asarray(picture, np.float32)[None], verbose=0)

    predict(data[0])
    started = time.perf_counter()
    for image in data[1:]:
        predict(image)
    return len(data[1:]) / (time.perf_counter() - started)


def run_inference(archive: Path, model: Path, workers: int) -> float:
    """The same faces by Beam's RunInference, which batches by itself; nothing is written, so nothing could be resumed."""
    import apache_beam as beam
    from apache_beam.ml.inference.base import ModelHandler, RunInference

    from components.beam_job import BeamSettings, pipeline, run
    from components.photo import PhotoSettings, crop_face, open_photo
    from components.score.batches import squares

    class Handler(ModelHandler[np.ndarray, float, Any]):
        def load_model(self) -> Any:
            return load(model)

        def run_inference(self, batch: Sequence[np.ndarray], model: Any, inference_args: Any = None) -> list[float]:
            return list(model.predict_squares(squares(list(batch), model.size)).age)

        def batch_elements_kwargs(self) -> dict[str, int]:
            return {"min_batch_size": BATCH, "max_batch_size": BATCH}

    photo = PhotoSettings()

    def read(names: list[str]) -> Iterator[np.ndarray]:
        with zipfile.ZipFile(archive) as zip_file:
            for name in names:
                yield np.asarray(crop_face(open_photo(zip_file.read(name), photo), None, photo))

    started = time.perf_counter()
    with zipfile.ZipFile(archive) as zip_file:
        names = zip_file.namelist()
    work = pipeline(BeamSettings(workers=workers))
    parts = beam.Create([names[start : start + 500] for start in range(0, len(names), 500)])
    ages = work | parts | beam.Reshuffle() | beam.FlatMap(read) | RunInference(Handler())
    _ = ages | beam.combiners.Count.Globally()
    run(work)
    return len(names) / (time.perf_counter() - started)
