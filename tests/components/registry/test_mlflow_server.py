"""A SQLite store that several processes open at once, and one whose maker was killed."""

import subprocess
import sys
import time
from pathlib import Path

from components.registry.mlflow_server import client

OPEN = """
import sys
sys.path.insert(0, {project!r})
from components.registry.mlflow_server import client
made = client()
made.create_experiment(sys.argv[1])
made.create_registered_model(sys.argv[1])
"""


def opened_by_others(store: Path, *names: str) -> list[subprocess.Popen]:
    code = OPEN.format(project=str(Path(__file__).parents[3]))
    environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{store}", "PATH": "/usr/bin:/bin"}
    return [
        subprocess.Popen([sys.executable, "-c", code, name], env=environment, stderr=subprocess.PIPE, cwd=store.parent)
        for name in names
    ]


def test_a_maker_that_is_killed_leaves_nothing_and_of_two_that_come_next_one_waits_for_the_other(tmp_path, monkeypatch):
    store = tmp_path / "new folder" / "mlflow.db"
    store.parent.mkdir()
    (first,) = opened_by_others(store, "first")
    while not (tables := store.with_name(".mlflow.db.partial")).exists() or not tables.stat().st_size:
        assert first.poll() is None, "it has ended too early to be killed at work"
        time.sleep(0.01)
    first.kill()
    first.communicate()
    assert not store.exists()
    both = opened_by_others(store, "one", "other")
    assert [(process.communicate()[1].decode()[-500:], process.returncode)[1] for process in both] == [0, 0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    assert {"one", "other"} <= {entry.name for entry in client().search_experiments()}
    assert {"one", "other"} <= {entry.name for entry in client().search_registered_models()}
    assert not list(store.parent.glob("*.partial*"))
