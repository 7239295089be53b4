r"""Speed of training on a GPU with JAX, and what comes of it: runs where TensorFlow is missing.

    python tests/benchmarks/train_gpu.py                                       strong and default, bfloat16 and float32
    python tests/benchmarks/train_gpu.py --faces utkface_10k.zip --quality     protocol A as well, in nine minutes together
    python tests/benchmarks/train_gpu.py --rehearse                            tiny sizes, on any machine

For every recipe and precision: images/s and milliseconds of the bare step on a batch that stays where it is; images/s with
batches that are drawn from decoded faces in the card's memory and changed there; and the utilisation, which is the arithmetic
that the model needs in that time, three times its forward pass (counted from its layers), over the card's peak
(training/flops.py). Weights are random. Nothing that takes longer than is left of `--limit` is begun; what was measured is
printed as it comes, and as one JSON object at the end.

`--quality` trains the first recipe in the first precision from scratch for `--minutes`, compiling aside, on the 4,000 training
images of protocol A of tests/benchmarks/quality.py, and looks at its 1,000 test images once.

A machine with JAX for its card and no network needs Keras and pydantic, and what they need, beside NumPy, Pillow, SciPy, h5py,
rich, psutil and PyYAML. Six megabytes of wheels for that machine's Python are fetched where there is a network,

    python -m pip download --dest wheels --no-deps --only-binary=:all: --python-version 3.12 -c requirements.lock \
        --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 \
        keras namex optree pydantic pydantic-core annotated-types typing-extensions typing-inspection simplejpeg

and installed there, beside the project and the faces:

    python -m pip install --no-index --no-deps --target /tmp/packages wheels/*.whl
    PYTHONPATH=/tmp/packages:. python tests/benchmarks/train_gpu.py --faces utkface_10k.zip --quality
"""

import argparse
import gc
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.9")  # of a card that nobody else uses

import jax

from components.estimator import heads
from components.estimator.settings import ApplicationSettings
from components.train import STEP, devices
from components.train.learner import Learner
from components.train.settings import Settings
from pipeline import recipe
from tests.benchmarks import quality
from tests.benchmarks.training import flops, protocol_a
from tests.benchmarks.training.in_memory import Drawn, Faces, made_up

RESERVE = {"case": 100.0, "quality": 60.0}
"""Seconds that a case takes where the compiler is slow; that quality takes beside its minutes and the compiler's."""

TINY = {
    "strong": ["estimator.size=32", "estimator.backbone.variant=b0", "train.batch_size=8", "train.epochs=2"],
    "default": ["estimator.size=32", "estimator.backbone.width=8", "train.batch_size=8", "train.epochs=2"],
}
"""What a rehearsal sets."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["strong", "default"], help="names of recipes")
    parser.add_argument("--precisions", nargs="+", default=["bfloat16", "float32"], help="of each")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as `visage run` takes it")
    parser.add_argument("--steps", type=int, default=60, help="steps that are timed")
    parser.add_argument("--faces", type=Path, metavar="ZIP", help="UTKFace's images, for --quality")
    parser.add_argument("--quality", action="store_true", help="train on real faces too, and test")
    parser.add_argument("--draw", type=int, default=0, metavar="SEED", help="of the order in which images are drawn")
    parser.add_argument("--minutes", type=float, default=4.0, help="of the training that --quality asks for")
    parser.add_argument("--limit", type=float, default=9.0, help="minutes of all together")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, also where there is no GPU")
    arguments = parser.parse_args()
    if arguments.quality and not arguments.faces:
        parser.error("--quality needs --faces")
    if jax.default_backend() == "cpu" and not arguments.rehearse:
        print("There is no GPU here; nothing measured. --rehearse tries everything in tiny sizes.")
        print(json.dumps({"gpu": None}))
        return
    quality.quiet()
    end = time.monotonic() + arguments.limit * 60
    # What was tuned and compiled for one case need not be for the next.
    jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp(prefix="visage-compiled-"))

    results: dict = {"gpu": devices.described(devices.strategy()), "jax": jax.__version__, "cases": []}
    print(f"{results['gpu']}, {len(jax.devices())} device(s), JAX {jax.__version__}", flush=True)
    cases = [(name, precision) for name in arguments.recipes for precision in arguments.precisions]
    for number, (name, precision) in enumerate(cases):
        if number and end - time.monotonic() < RESERVE["case"]:
            print(f"{name} in {precision}: no time left", flush=True)
            continue
        settings = settings_of(name, precision, arguments)
        case = {"recipe": name, "precision": precision} | speed(settings, made_up_for(settings), arguments.steps)
        results["cases"].append(case)
        print(line(case), flush=True)
        gc.collect()
        jax.clear_caches()
        if arguments.quality and not number:
            results["quality"] = of_real_faces(name, settings, case["fed_images_per_second"], end, arguments)
    print(json.dumps(results))


def settings_of(name: str, precision: str, arguments: argparse.Namespace) -> Settings:
    """A recipe's, from scratch."""
    overrides = [*(TINY.get(name, []) if arguments.rehearse else []), *arguments.set, f"train.precision={precision}"]
    if isinstance(recipe.load(name, overrides).settings.estimator.backbone, ApplicationSettings):
        overrides.append("estimator.backbone.weights=none")
    return recipe.load(name, overrides).of(STEP)


def made_up_for(settings: Settings) -> Faces:
    return made_up(max(1024, 2 * settings.train.batch_size), settings.estimator.size, settings.estimator.age)


def speed(settings: Settings, faces: Faces, steps: int) -> dict[str, float | int | None]:
    """Of the step alone, and fed from memory."""
    strategy, batch = devices.strategy(), settings.train.batch_size
    learner = Learner(settings, heads.age_bins(settings.estimator.age), {}, steps, strategy)
    learner.start(faces.batches(batch))
    drawn = Drawn(faces, batch, settings.train.augment)
    needed = 3 * flops.forward_flops(learner.model)
    began = time.perf_counter()
    first = next(drawn.epoch(0))
    learner.step(*first)
    learner.wait()
    compiled = time.perf_counter() - began

    def rate(work: Callable[[], None]) -> float:
        work()  # warms up
        learner.wait()
        began = time.perf_counter()
        work()
        learner.wait()
        return steps * batch / (time.perf_counter() - began)

    def bare() -> None:
        for _ in range(steps):
            learner.step(*first)

    def fed() -> None:
        passes = -(-steps // (len(faces) // batch))
        for _, one in zip(range(steps), drawn.epoch(1, passes), strict=False):
            learner.step(*one)

    bare_rate, fed_rate = rate(bare), rate(fed)
    peak = flops.peak(jax.devices()[0].device_kind, settings.train.precision)
    stats = jax.devices()[0].memory_stats() or {}
    return {
        "batch": batch,
        "side": settings.estimator.size,
        "images_per_second": round(bare_rate, 1),
        "step_ms": round(1000 * batch / bare_rate, 2),
        "fed_images_per_second": round(fed_rate, 1),
        "gflops_an_image": round(needed / 1e9, 2),
        "utilisation": round(bare_rate * needed / (peak * len(jax.devices())), 4) if peak else None,
        "compiled_seconds": round(compiled, 1),
        "memory_gb": round(stats["peak_bytes_in_use"] / 1e9, 2) if "peak_bytes_in_use" in stats else None,
    }


def line(case: dict) -> str:
    """A case for people."""
    used = "the card's peak is not known" if case["utilisation"] is None else f"{case['utilisation']:.1%} of the peak"
    return (
        f"{case['recipe']}, {case['precision']}, {case['side']} pixels, batches of {case['batch']}: "
        f"{case['images_per_second']:,.0f} images/s, {case['step_ms']:.1f} ms a step, "
        f"{case['fed_images_per_second']:,.0f} images/s fed from memory; {case['gflops_an_image']:.1f} GFLOP an image, {used}; "
        f"compiled in {case['compiled_seconds']:.0f} s"
        + (f", at most {case['memory_gb']:.1f} GB" if case["memory_gb"] is not None else "")
    )


def of_real_faces(name: str, settings: Settings, rate: float, end: float, arguments: argparse.Namespace) -> dict:
    """Protocol A: the draws of tests/benchmarks/quality.py, on faces as large as the recipe stores them."""
    photo = recipe.load(name, arguments.set).settings.photo
    faces = quality.read_faces(arguments.faces, photo)
    random.Random(arguments.draw).shuffle(faces)
    ((train, test),) = quality.split(faces[:60] if arguments.rehearse else faces, "a", settings.estimator.age)
    left = (end - time.monotonic() - RESERVE["quality"] - protocol_a.SLACK_SECONDS) / 60
    minutes = min(arguments.minutes, left)
    if minutes <= 0:
        print("quality: no time left", flush=True)
        return {}
    test_quality = protocol_a.run(settings, train, test, rate, minutes)
    print(f"{name}, protocol A, {len(train):,} to train, {len(test):,} to test: {test_quality}", flush=True)
    return {key: round(value, 4) for key, value in vars(test_quality).items() if value == value}


if __name__ == "__main__":
    main()
