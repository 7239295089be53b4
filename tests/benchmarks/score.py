"""Speed and memory of scoring: the job beside the bare model, the naive loop and Beam's RunInference.

    python tests/benchmarks/score.py                            everything, half an hour on two cores
    python tests/benchmarks/score.py --faces 2000 --rounds 1 --only faces
    python tests/benchmarks/score.py --only ways --estimator DIR    what was tried for speed, on a trained estimator

Faces are UTKFace's, 200x200, if utkface_10k.zip is in ../shared/data or where VISAGE_SHARED_DATA says, else drawn ones; photos
with faces on them are those of photos.zip, else drawn groups. Without --estimator the model is the recipe's, with random weights,
which is as fast as a trained one. The job is the whole step, from its settings to the last file in its place, model loaded and
drift measured; only the registry is left out. Libraries are imported, and every path is gone through once, before anything is
timed. Rates are images a second, the median of several rounds in turn; those of one run can be compared with each other, and
with nothing else.
"""

import argparse
import io
import itertools
import json
import logging
import multiprocessing
import os
import shutil
import statistics
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Barrier
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GLOG_minloglevel", "3")
os.environ.setdefault("PYTHONWARNINGS", "ignore")

import numpy as np
import psutil
from PIL import Image

PROJECT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("VISAGE_SHARED_DATA") or PROJECT.parent / "shared" / "data")
PARTS = ("faces", "detect", "ways", "memory")
BATCH = 64

logging.disable(logging.WARNING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=20_000, help="faces of the faces-only job")
    parser.add_argument("--photos", type=int, default=520, help="photos of the job with detection")
    parser.add_argument(
        "--large", type=int, default=100_000, help="faces of the larger memory figure; a tenth of the other"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed, in turn")
    parser.add_argument("--workers", type=int, default=0, help="of the jobs; 0: one a core")
    parser.add_argument("--recipe", default="default", help="whose estimator is used")
    parser.add_argument("--estimator", type=Path, help="folder of a trained estimator, to be used instead")
    parser.add_argument("--detector", default="fast", choices=("fast", "thorough"))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        model = write_model(folder / "model", options)
        if "faces" in options.only:
            figures |= faces(model, folder, options)
        if "detect" in options.only:
            figures |= detect(model, folder, options)
        if "ways" in options.only:
            figures |= ways(model, options)
        if "memory" in options.only:
            figures |= memory(model, folder, options)
    for name, figure in figures.items():
        print(f"{name:28} {figure:12,.3f}")
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))


# The job


def job(few: Path, photos: Path, model: Path, output: Path, workers: int, score: dict[str, Any]) -> float:
    """Rate of the whole step over some photos, once it has gone over a few, which imports what it needs."""
    _job(few, model, output, workers, score)
    return _job(photos, model, output, workers, score)


def _job(photos: Path, model: Path, output: Path, workers: int, score: dict[str, Any]) -> float:
    from components import registry
    from components.registry import ModelVersion
    from components.score import STEP, parts
    from components.score.settings import Settings
    from components.step import Job

    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    parts._estimator.cache_clear()
    wanted = {"photos": [str(photos)], "model": "visage/1", **score}
    settings = Settings.model_validate({"score": wanted, "beam": {"workers": workers}})
    version = ModelVersion("visage", "1")
    with mock.patch.multiple(registry, resolve=lambda _: version, download=lambda _: model):
        started = time.perf_counter()
        counts = STEP.run(settings, Job({}, output))
        return counts["photos"] / (time.perf_counter() - started)


def faces(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Rates of the job over an archive of faces, of the bare model on batches in memory, of the naive loop and RunInference.

    `faces_model` is one caller with TensorFlow's own threads, `faces_model_a_core` a caller with one thread for each core.
    """
    data = face_files()
    archive = write_zip(folder / "faces.zip", itertools.islice(itertools.cycle(data), options.faces))
    few = write_zip(folder / "few.zip", data[:500])
    figures = in_turn(
        {
            "faces_model": apart(bare_model, model, options.faces, 1),
            "faces_model_a_core": apart(bare_model, model, options.faces, len(os.sched_getaffinity(0))),
            "faces_job": apart(job, few, archive, model, folder / "job", options.workers, {}),
            "naive": apart(naive, model),
            "run_inference": apart(run_inference, archive, model, options.workers),
        },
        options.rounds,
    )
    for other in ("faces_model", "faces_model_a_core", "naive", "run_inference"):
        figures[f"faces_job_to_{other}"] = figures["faces_job"] / figures[other]
    return figures


def bare_model(model: Path, count: int, callers: int) -> float:
    """Rate of the compiled model over batches in memory, called by so many threads."""
    import tensorflow as tf

    if callers > 1:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    network = load(model)
    batches = batches_of(face_files(), network.size, BATCH)
    return rate(compiled(network.network), batches, count, callers)


def compiled(network: Any, **options: Any) -> Callable[[Any], Any]:
    """A network as one graph, from uint8 pixels."""
    import tensorflow as tf

    return tf.function(lambda batch: network(tf.cast(batch, tf.float32), training=False), **options)


def rate(forward: Callable[[Any], Any], batches: list[np.ndarray], count: int, callers: int = 1) -> float:
    """Faces a second of a function over batches in memory."""
    calls = -(-count // len(batches[0]) // callers)

    def call(_: int) -> None:
        for batch in itertools.islice(itertools.cycle(batches), calls):
            forward(batch)["age"].numpy()

    forward(batches[0])
    started = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(callers)))
    return callers * calls * len(batches[0]) / (time.perf_counter() - started)


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

    from components.beam import BeamSettings, pipeline, run
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
        with zipfile.ZipFile(archive) as held:
            for name in names:
                yield np.asarray(crop_face(open_photo(held.read(name), photo), None, photo))

    started = time.perf_counter()
    with zipfile.ZipFile(archive) as held:
        names = held.namelist()
    work = pipeline(BeamSettings(workers=workers))
    parts = beam.Create([names[start : start + 500] for start in range(0, len(names), 500)])
    ages = work | parts | beam.Reshuffle() | beam.FlatMap(read) | RunInference(Handler())
    _ = ages | beam.combiners.Count.Globally()
    run(work)
    return len(names) / (time.perf_counter() - started)


# The job with detection


def detect(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Rates of the job with detection, and of detector and model alone on photos that are decoded already."""
    data = photo_files()
    archive = write_zip(folder / "photos.zip", itertools.islice(itertools.cycle(data), options.photos))
    few = write_zip(folder / "few_photos.zip", data[:8])
    wanted = {"faces": "detect", "detector": options.detector}
    figures = in_turn(
        {
            "detect_model": apart(detector_and_model, model, options.detector, options.photos),
            "detect_job": apart(job, few, archive, model, folder / "job", options.workers, wanted),
        },
        options.rounds,
    )
    figures["detect_job_to_detect_model"] = figures["detect_job"] / figures["detect_model"]
    return figures


def detector_and_model(model: Path, kind: str, count: int) -> float:
    """Detector, crop and model on decoded photos, by as many threads as there are cores."""
    import tensorflow as tf

    from components.photo import PhotoSettings, open_photo
    from components.score.batches import squares
    from components.score.detect import detector
    from components.score.faces import faces_of

    tf.config.threading.set_intra_op_parallelism_threads(1)
    settings, network = PhotoSettings(), load(model)
    photos = [open_photo(held, settings) for held in photo_files()]
    network.predict_squares(np.zeros((1, network.size, network.size, 3), np.uint8))
    threads = len(os.sched_getaffinity(0))
    ready, todo = Barrier(threads + 1), SimpleQueue[Image.Image]()
    for photo in itertools.islice(itertools.cycle(photos), count):
        todo.put(photo)

    def work() -> None:
        find = detector(kind, None)
        find(photos[0])
        found: list[np.ndarray] = []
        ready.wait()
        while not todo.empty():
            with suppress(Empty):
                found += [face.pixels for face in faces_of(todo.get_nowait(), settings, find)]
            if len(found) >= BATCH or todo.empty():
                network.predict_squares(squares(found, network.size))
                found.clear()

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work) for _ in range(threads)]
        ready.wait()
        started = time.perf_counter()
        for thread in running:
            thread.result()
    return count / (time.perf_counter() - started)


# What was tried for speed


def ways(model: Path, options: argparse.Namespace) -> dict[str, float]:
    """Rates of the bare model by precision, compiler and batch size, and by how many years that moves ages on average.

    oneDNN is set by variables that are read when TensorFlow is imported: give them before the command, as
    TF_ENABLE_ONEDNN_OPTS=0.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from components.estimator import saved
    from components.estimator.precision import in_bfloat16

    exact, data = load(model), face_files()
    networks = {"float32": exact.network, "bfloat16": in_bfloat16(exact).network}
    forwards: dict[str, Callable[[Any], Any]] = {}
    for name, network in networks.items():
        forwards[name] = compiled(network)
        forwards[f"{name}_xla"] = compiled(network, jit_compile=True)
        graph = compiled(network).get_concrete_function(np.zeros((BATCH, exact.size, exact.size, 3), np.uint8))  # type: ignore[attr-defined]
        forwards[f"{name}_constants"] = named(
            convert_variables_to_constants_v2(graph), sorted(graph.structured_outputs)
        )
    batches, count = batches_of(data, exact.size, BATCH), min(options.faces, 2048)
    todo = {f"ways_{name}": timed(forward, batches, count) for name, forward in forwards.items()}
    for size in (1, 16, 256, 1024):
        todo[f"ways_batch_{size}"] = timed(
            forwards["float32"], batches_of(data, exact.size, size), max(count // 8, 2 * size)
        )
    figures = in_turn(todo, options.rounds)
    ages: dict[str, np.ndarray] = {}
    for name, forward in forwards.items():
        told = [{key: value.numpy() for key, value in forward(batch).items()} for batch in batches]
        ages[name] = np.concatenate([saved.interpret(outputs, exact.scale).age for outputs in told])
    for name in list(ages)[1:]:
        figures[f"years_moved_{name}"] = float(np.abs(ages[name] - ages["float32"]).mean())
    return figures


def timed(forward: Callable[[Any], Any], batches: list[np.ndarray], count: int) -> Callable[[], float]:
    return lambda: rate(forward, batches, count)


def named(graph: Any, names: list[str]) -> Callable[[Any], Any]:
    """A graph whose outputs have lost their names."""
    import tensorflow as tf

    return lambda batch: dict(zip(names, graph(tf.constant(batch)), strict=True))


# Memory


def memory(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """MB of memory of the job at its largest: over few faces, over ten times as many, over an archive of 5 GB."""
    places = {
        "rss_10k": write_links(folder / "tenth", options.large // 10),
        "rss_100k": write_links(folder / "whole", options.large),
        "rss_5gb": write_large_tar(folder / "large.tar", 1000, 5_000_000),
    }
    return {name: peak(place, model, folder / "job", options.workers) for name, place in places.items()}


def peak(photos: Path, model: Path, output: Path, workers: int) -> float:
    process = multiprocessing.get_context("spawn").Process(target=_job, args=(photos, model, output, workers, {}))
    process.start()
    most, watched = 0, psutil.Process(process.pid)
    while process.is_alive():
        most = max(most, tree(watched))
        process.join(0.05)
    if process.exitcode:
        raise SystemExit(f"the job over {photos} ended with {process.exitcode}")
    return most / 1e6


def tree(process: psutil.Process) -> int:
    """Bytes that a process and what it started hold in memory."""
    try:
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


def write_links(folder: Path, count: int) -> Path:
    """As many files as asked for, of which every face is one and the others links to it."""
    data = face_files()
    folder.mkdir()
    for number in range(count):
        first, file = folder / f"{number % len(data):06d}.jpg", folder / f"{number:06d}.jpg"
        if first == file:
            file.write_bytes(data[number])
        else:
            os.link(first, file)
    return folder


def write_large_tar(path: Path, count: int, size: int) -> Path:
    """A tar of faces, each filled up with zeros that take no room on disk."""
    data = face_files()
    with path.open("wb") as file:
        for number in range(count):
            member = tarfile.TarInfo(f"{number:06d}.jpg")
            member.size = size
            file.write(member.tobuf())
            file.write(data[number % len(data)])
            file.seek(-(-(file.tell() - len(data[number % len(data)]) + size) // 512) * 512)
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path


# What is scored, and by what


def write_model(folder: Path, options: argparse.Namespace) -> Path:
    """A folder with the files of a model: the recipe's estimator untrained, or a trained one."""
    import keras
    import pandas as pd
    import tensorflow_data_validation as tfdv

    from components.estimator import model, saved
    from components.photo import PhotoSettings
    from pipeline.recipe import load as recipe

    (folder / "statistics").mkdir(parents=True)
    if options.estimator:
        shutil.copytree(options.estimator, folder / "estimator")
    else:
        settings = recipe(options.recipe).settings.estimator
        keras.utils.set_random_seed(1)
        saved.save(model.build(settings), settings, folder / "estimator")
    (folder / "photo.json").write_text(PhotoSettings().model_dump_json())
    people = pd.DataFrame({"face/age": list(range(100)), "face/gender": ["female", "male"] * 50})
    statistics_of_training = tfdv.generate_statistics_from_dataframe(people).SerializeToString()
    (folder / "statistics" / "train.pb").write_bytes(statistics_of_training)
    return folder


def load(model: Path) -> Any:
    """The estimator of a model's folder."""
    from components.score.parts import estimator

    return estimator(model, "float32")


def face_files() -> list[bytes]:
    if (SHARED / "utkface_10k.zip").is_file():
        with zipfile.ZipFile(SHARED / "utkface_10k.zip") as held:
            return [held.read(name) for name in held.namelist() if name.endswith(".jpg")]
    return list(drawn(500))


def photo_files() -> list[bytes]:
    if (SHARED / "photos.zip").is_file():
        with zipfile.ZipFile(SHARED / "photos.zip") as held:
            return [held.read(name) for name in held.namelist() if not name.endswith("/")]
    heads = [Image.open(io.BytesIO(head)).convert("RGB").resize((240, 240)) for head in drawn(6)]
    data = []
    for count in range(7):
        photo, file = Image.new("RGB", (1200, 800), (120, 125, 130)), io.BytesIO()
        for place, head in enumerate(heads[:count]):
            photo.paste(head, (60 + 380 * (place % 3), 80 + 380 * (place // 3)))
        photo.save(file, "JPEG", quality=90)
        data.append(file.getvalue())
    return data


def drawn(count: int) -> Iterator[bytes]:
    from pipeline.demo.people import invent
    from pipeline.demo.scene import PORTRAIT, Shot, take

    random = np.random.default_rng(1)
    for number in range(count):
        yield take(Shot(invent(number, random), 35, 2010, PORTRAIT, 200, 200, (number,)))


def batches_of(data: list[bytes], size: int, batch: int) -> list[np.ndarray]:
    """About a thousand of the faces as batches of the model's input."""
    some = data[: max(1024, batch) // batch * batch] if len(data) >= max(1024, batch) else (data * 3)[:1024]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(held)).convert("RGB").resize((size, size))) for held in some])
    return [pixels[start : start + batch] for start in range(0, len(pixels), batch)]


def write_zip(path: Path, data: Any) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, held in enumerate(data):
            archive.writestr(f"{number:06d}.jpg", held)
    return path


def apart(function: Callable[..., float], *arguments: Any) -> Callable[[], float]:
    """A function to be called in a process of its own, for how TensorFlow uses its threads is settled once for a process."""
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    return lambda: pool.submit(function, *arguments).result()


def in_turn(todo: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median of several rounds in which each is timed once."""
    held: dict[str, list[float]] = {name: [] for name in todo}
    for _ in range(rounds):
        for name, timed in todo.items():
            held[name].append(timed())
    return {name: statistics.median(rates) for name, rates in held.items()}


if __name__ == "__main__":
    main()
