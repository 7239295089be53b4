"""Ingest and score on Prism, Beam's portable runner, by workers that share nothing with the driver but an S3 server.

Where this is root the workers are another user, who sees none of the driver's folders. The same at full size, and with two
and four workers: tests/cluster/beam_without_shared_disk.py.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from pipeline.demo.archive import draw_archive
from tests.cluster.go_servers import Server
from tests.cluster.jobs import PHOTOS, Driver, files_of, killing, scores_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # two servers may have to be built first

FACES = f"s3://{PHOTOS}/faces"


@pytest.fixture(scope="module")
def faces(cluster, tmp_path_factory):
    """Some hundred photos and their labels, in a bucket."""
    drawn = tmp_path_factory.mktemp("drawn") / "faces"
    draw_archive(drawn, photos=300, seed=5)
    shutil.copytree(drawn, cluster.s3.folder / PHOTOS / "faces")
    return drawn


@pytest.fixture(scope="module")
def running_workers(cluster) -> Iterator[Callable[[], Server]]:
    """Gives a worker pool that runs: that of the test before, or a new one where it was killed."""
    pools: list[Server] = []
    with ExitStack() as stack:

        def running() -> Server:
            if not pools or pools[-1].process.poll() is not None:
                pools.append(stack.enter_context(cluster.workers(f"pool {len(pools)}")))
            return pools[-1]

        yield running


@pytest.fixture
def driver(cluster, registered, tmp_path):
    return Driver(tmp_path / "driver", cluster.s3.environment | {"MLFLOW_TRACKING_URI": registered})


def test_ingest_goes_on_after_its_workers_were_killed_and_makes_the_local_runners_bytes(
    cluster, running_workers, faces, driver, tmp_path
):
    ingest = ["step", "ingest", "--set", "source.kind=imdb_wiki", "--set", f"source.path={FACES}"]
    on_cluster = [*ingest, *cluster.settings, "--out", str(tmp_path / "cluster")]

    at_work = killing(running_workers(), lambda: any("spool" in path.parts for path in cluster.staged()))
    killed = driver.run(*on_cluster, meanwhile=at_work)
    assert killed.code == 1
    assert is_one_message_of_a_lost_worker(killed.output)

    running_workers()
    done = driver.run(*on_cluster)
    assert done.code == 0, done.output
    assert cluster.staged() == []

    local = driver.run(*ingest, "--out", str(tmp_path / "local"))
    assert local.code == 0, local.output
    assert files_of(tmp_path / "cluster") == files_of(tmp_path / "local")


def test_score_goes_on_after_its_workers_were_killed_and_gives_the_local_runners_rows(
    cluster, running_workers, faces, driver, tmp_path
):
    score = ["score", FACES, "--model", "visage@champion"]
    on_cluster = [*score, *cluster.settings, "--out", str(tmp_path / "cluster")]

    at_work = killing(running_workers(), lambda: sum("parts" in path.parts for path in cluster.staged()) >= 2)
    killed = driver.run(*on_cluster, meanwhile=at_work)
    assert killed.code == 1
    assert is_one_message_of_a_lost_worker(killed.output)

    running_workers()
    done = driver.run(*on_cluster)
    assert done.code == 0, done.output
    assert "parts are done already" in done.output

    local = driver.run(*score, "--out", str(tmp_path / "local"))
    assert local.code == 0, local.output
    assert scores_of(tmp_path / "cluster").equals(scores_of(tmp_path / "local"))
    counts = [json.loads((tmp_path / place / "summary.json").read_text())["photos"] for place in ("cluster", "local")]
    assert counts[0] == counts[1] == len([path for path in faces.rglob("*") if path.is_file()])


def is_one_message_of_a_lost_worker(output: str) -> bool:
    """Whether the last two lines are the message and its advice; Prism has several ways to go down with its worker."""
    message = output.strip().splitlines()[-2]
    names_the_worker = message.startswith(
        ("visage: A worker has ended in the middle of the job", "visage: The runner itself failed")
    )
    return names_the_worker and "Traceback" not in output and "goroutine" not in output


def test_photos_that_only_the_driver_sees_are_one_message_before_any_work(
    cluster, running_workers, faces, driver, tmp_path
):
    running_workers()
    done = driver.run(
        *("step", "ingest", "--set", f"source.path={faces}", *cluster.settings, "--out", str(tmp_path / "out"))
    )
    assert done.code == 1
    assert f"visage: The workers find nothing at {faces}." in done.output or "The workers cannot read" in done.output
    assert "Traceback" not in done.output
