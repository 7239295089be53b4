"""Photos with faces on them: the job beside detector and model alone."""

import argparse
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Barrier

import numpy as np
from PIL import Image

from tests.benchmarks.scoring.job import BATCH, apart, in_turn, job, load
from tests.benchmarks.scoring.material import photo_files, write_zip


def figures(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Rates of the job with detection, and of detector and model alone on photos that are decoded already."""
    data = photo_files()
    archive = write_zip(folder / "photos.zip", itertools.islice(itertools.cycle(data), options.photos))
    few = write_zip(folder / "few_photos.zip", data[:8])
    wanted = {"faces": "detect", "detector": options.detector}
    rates = in_turn(
        {
            "detect_model": apart(detector_and_model, model, options.detector, options.photos),
            "detect_job": apart(job, few, archive, model, folder / "job", options.workers, wanted),
        },
        options.rounds,
    )
    rates["detect_job_to_detect_model"] = rates["detect_job"] / rates["detect_model"]
    return rates


def detector_and_model(model: Path, kind: str, count: int) -> float:
    """Detector, crop and model on decoded photos, by as many threads as there are cores."""
    import tensorflow as tf

    from components.detection.detect import detector
    from components.photo import PhotoSettings, open_photo
    from components.score.batches import squares
    from components.score.faces import faces_of

    tf.config.threading.set_intra_op_parallelism_threads(1)
    settings, network = PhotoSettings(), load(model)
    photos = [open_photo(data, settings) for data in photo_files()]
    network.predict_squares(np.zeros((1, network.size, network.size, 3), np.uint8))
    threads = len(os.sched_getaffinity(0))
    ready, todo = Barrier(threads + 1), SimpleQueue[Image.Image]()
    for photo in itertools.islice(itertools.cycle(photos), count):
        todo.put(photo)

    def work() -> None:
        find = detector(kind, None)
        find(photos[0])
        faces: list[np.ndarray] = []
        ready.wait()
        while not todo.empty():
            with suppress(Empty):
                faces += [face.pixels for face in faces_of(todo.get_nowait(), settings, find)]
            if len(faces) >= BATCH or todo.empty():
                network.predict_squares(squares(faces, network.size))
                faces.clear()

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work) for _ in range(threads)]
        ready.wait()
        started = time.perf_counter()
        for thread in running:
            thread.result()
    return count / (time.perf_counter() - started)
