"""Ingest and score of real faces on clusters whose workers share nothing with the driver but an S3 server.

    python -m tests.cluster.beam_without_shared_disk UTKFACE.zip
    python -m tests.cluster.beam_without_shared_disk UTKFACE.zip --photos 1000 --scored 2000

Photos, staging and what workers leave lie on versitygw alone, which demands credentials; as root, workers are the user nobody,
in a folder of their own, and see none of the driver's. Prism has one SDK worker a job; Beam's job server in Python has two, and
four. On Prism the workers are killed with -9 in the middle of either job, and the same command is given again. Every outcome
is held against the local runner's. Needs Go once, and 2 GB below the folder for temporary files.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.cluster.go_servers import Unavailable
from tests.cluster.jobs import (
    PHOTOS,
    Cluster,
    Done,
    Driver,
    files_of,
    killing,
    on_prism,
    on_python_job_server,
    scores_of,
)
from tests.cluster.other_user import can_change_user
from tests.components.register import made_up

ARCHIVES = ("faces.zip", "more.zip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path, help="a zip of photos with UTKFace's names")
    parser.add_argument("--photos", type=int, default=10_000, help="photos to ingest")
    parser.add_argument("--scored", type=int, default=20_000, help="photos to score; they repeat where there are fewer")
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 4], help="numbers of workers beside Prism's one")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    print(f"workers run as {'the user nobody' if can_change_user() else 'this user'}", flush=True)
    with tempfile.TemporaryDirectory(prefix="visage-cluster-") as folder_name:
        folder = Path(folder_name)
        archives = write_archives(arguments.faces, folder, arguments.photos, arguments.scored)
        trial = Trial(folder, {"MLFLOW_TRACKING_URI": registered(folder / "registry")}, archives)
        try:
            trial.run(on_prism, "Prism", (1,), kill=True)
            if arguments.workers:
                trial.run(on_python_job_server, "Beam's job server in Python", tuple(arguments.workers), kill=False)
        except Unavailable as why:
            sys.exit(str(why))
    sys.exit(trial.failed)


def write_archives(faces: Path, folder: Path, photos: int, scored: int) -> list[Path]:
    """Two archives, with as many photos as are to be ingested, and with the others that are to be scored."""
    written = []
    with zipfile.ZipFile(faces) as source:
        names = [name for name in source.namelist() if name.endswith(".jpg")]
        for archive, count in zip(ARCHIVES, (photos, scored - photos), strict=True):
            written.append(folder / archive)
            with zipfile.ZipFile(folder / archive, "w") as target:
                for number in range(count):
                    name, again = names[number % len(names)], number // len(names)
                    target.writestr(f"{again}/{name}" if again else name, source.read(name))
    return written


def registered(folder: Path) -> str:
    """Address of a registry with a champion, a small untrained estimator."""
    from components.register import STEP
    from components.register.settings import Settings
    from components.step import StepContext

    (folder / "out").mkdir(parents=True)
    address = f"sqlite:///{folder / 'mlflow.db'}"
    os.environ["MLFLOW_TRACKING_URI"] = address
    made_up.artifacts(folder / "made", made_up.metrics())
    inputs = {step: folder / "made" / step for step in STEP.inputs}
    here = Path.cwd()
    os.chdir(folder)  # MLflow keeps the model's files beside the process
    try:
        STEP.run(Settings(), StepContext(inputs, folder / "out", fingerprint="made up"))
    finally:
        os.chdir(here)
    return address


class Trial:
    """The runs, and what the local runner made of the same photos.

    Args:
        folder: for everything.
        environment: of the driver.
        archives: to be put into every cluster's bucket.
    """

    def __init__(self, folder: Path, environment: dict[str, str], archives: list[Path]) -> None:
        self._folder = folder
        self._environment = environment
        self._archives = archives
        self.failed = 0

    def run(
        self,
        started: Callable[[Path], AbstractContextManager[Cluster]],
        runner: str,
        numbers: tuple[int, ...],
        kill: bool,
    ) -> None:
        """Both jobs on a cluster with these numbers of workers, and on the local runner from the same bucket."""
        folder = self._folder / str(len(list(self._folder.iterdir())))
        folder.mkdir()
        with started(folder) as cluster:
            for archive in self._archives:
                shutil.copyfile(archive, cluster.s3.folder / PHOTOS / archive.name)
            driver = Driver(folder / "driver", cluster.s3.environment | self._environment)
            source = ["--set", "source.kind=utkface", "--set", f"source.path=s3://{PHOTOS}/{ARCHIVES[0]}"]
            photos = [f"s3://{PHOTOS}/{archive}" for archive in ARCHIVES]
            ingest = ["step", "ingest", *source]
            score = ["score", *photos, "--faces", "whole", "--model", "visage@champion"]
            for name, command, at_work in (("ingest", ingest, _spooled), ("score", score, _some_parts)):
                local = driver.run(*command, "--out", str(folder / f"{name}-local"))
                self._report(f"{name}, local runner", local, local.code == 0)
                for workers in numbers:
                    out = folder / f"{name}-{workers}"
                    on_cluster = [*command, *cluster.settings, "--set", f"beam.workers={workers}", "--out", str(out)]
                    label = f"{name}, {runner}, {workers} workers"
                    if kill:
                        with cluster.workers(f"{name}-killed") as pool:
                            killed = driver.run(*on_cluster, meanwhile=killing(pool, lambda: at_work(cluster)))  # noqa: B023
                        one_message = killed.code == 1 and "Traceback" not in killed.output
                        self._report(f"{label}, killed with -9", killed, one_message or killed.code == 0)
                        print("    " + killed.output.strip().splitlines()[-2])
                    with cluster.workers(f"{name}-{workers}") as pool:
                        done = driver.run(*on_cluster)
                        count = pool.log.read_text(errors="replace").count("Starting worker")
                    same = done.code == 0 and _same(name, out, folder / f"{name}-local") and not cluster.staged()
                    self._report(f"{label} ({count} were started)", done, same)

    def _report(self, label: str, done: Done, is_right: bool) -> None:
        self.failed += not is_right
        print(f"{label:70} {done.seconds:7.1f} s  {'right' if is_right else 'WRONG'}", flush=True)
        if not is_right:
            print(done.output)


def _spooled(cluster: Cluster) -> bool:
    return any("spool" in path.parts for path in cluster.staged())


def _some_parts(cluster: Cluster) -> bool:
    return sum("parts" in path.parts for path in cluster.staged()) >= 5


def _same(name: str, one: Path, other: Path) -> bool:
    """Whether an ingest has the same files, byte by byte, or a scoring the same rows."""
    if name == "ingest":
        return files_of(one) == files_of(other)
    return scores_of(one).equals(scores_of(other))


if __name__ == "__main__":
    main()
