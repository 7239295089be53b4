"""The local runner, on a made-up DAG."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local import runner
from pipeline.local.display import Display
from pipeline.local.runner import Outcome
from schemas.artifact import MANIFEST, read_manifest
from schemas.error import VisageError
from tests.pipeline import toy

NAMES = [step.name for step in toy.STEPS]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One MLflow store for all tests: making a new one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture(autouse=True)
def tracking_uri(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)


def run(root: Path, *, force=(), **settings) -> tuple[Outcome, str]:
    shown = io.StringIO()
    outcome = runner.run(
        toy.recipe(**settings),
        root,
        Display(Console(file=shown, width=200)),
        force=force,
        command="visage run --again",
        steps=toy.STEPS,
    )
    return outcome, shown.getvalue()


def result(outcome: Outcome) -> int:
    return int((outcome.artifacts["total"] / "result").read_text())


def test_every_step_runs_once_in_order_and_leaves_a_whole_artifact(tmp_path):
    outcome, shown = run(tmp_path)
    assert result(outcome) == 2 * 3 + 3**2
    assert [toy.calls(tmp_path, name) for name in NAMES] == [1, 1, 1, 1]
    assert outcome.reused == []
    assert all("done in" in line for line in shown.splitlines() if line.startswith("total") and "started" not in line)
    manifest = read_manifest(outcome.artifacts["total"])
    assert manifest.counts == {"result": 15}
    assert set(manifest.inputs) == {"double", "square"}


def test_a_second_run_reuses_every_step_and_starts_no_process(tmp_path):
    run(tmp_path)
    outcome, shown = run(tmp_path)
    assert outcome.reused == NAMES
    assert [line.split() for line in shown.splitlines()] == [[name, "reused"] for name in NAMES]
    assert [toy.calls(tmp_path, name) for name in NAMES] == [1, 1, 1, 1]


def test_a_setting_a_file_outside_or_force_runs_what_depends_on_it_and_nothing_else(tmp_path):
    source = tmp_path / "source.txt"
    source.write_text("one")
    root = tmp_path / "root"
    run(root, source=str(source))
    assert run(root, source=str(source), workers=5)[0].reused == NAMES, "how the work is done changes nothing"
    source.write_text("another")
    assert run(root, source=str(source))[0].reused == []
    outcome, _ = run(root, source=str(source), force=["square"])
    assert outcome.reused == ["draw", "double"]
    assert run(root, source=str(source))[0].reused == NAMES
    assert result(run(root, source=str(source), value=4)[0]) == 8 + 16


def test_independent_steps_run_side_by_side(tmp_path):
    run(tmp_path, seconds={"double": 8})
    (double,) = (tmp_path / "artifacts" / "double").glob(f"[!.]*/{MANIFEST}")
    (square,) = (tmp_path / "artifacts" / "square").glob(f"[!.]*/{MANIFEST}")
    assert square.stat().st_mtime < double.stat().st_mtime, "it did not wait for the long one that was started first"


def test_a_failure_names_step_cause_log_and_the_command_that_goes_on(tmp_path):
    with pytest.raises(VisageError) as caught:
        run(tmp_path, fail="square")
    message = str(caught.value)
    assert "The step square failed: the thing is broken" in message
    assert "Mend the thing." in message
    assert "visage run --again" in message
    log = Path(next(line for line in message.splitlines() if line.startswith("Log: ")).removeprefix("Log: "))
    assert "square says hello" in log.read_text()
    assert caught.value.exit_code == 1


def test_after_a_failure_what_was_done_is_kept_and_the_next_run_starts_there(tmp_path):
    """`fail` is a setting and so part of the fingerprint; an input that goes missing is not."""
    source = tmp_path / "source.txt"
    with pytest.raises(VisageError, match="nobody foresaw this"):
        run(tmp_path, fail="total:bug", source=str(source))
    with pytest.raises(VisageError, match="KeyError"):
        run(tmp_path, fail="total:bug", source=str(source))
    assert [toy.calls(tmp_path, name) for name in NAMES] == [1, 1, 1, 2]


def test_a_step_whose_process_is_killed_is_reported_as_such(tmp_path):
    with pytest.raises(VisageError, match=r"total failed: its process was killed"):
        run(tmp_path, fail="total:killed")
    assert not list((tmp_path / "artifacts" / "total").glob(f"[!.]*/{MANIFEST}"))


def test_two_runs_on_one_root_do_not_step_on_each_other(tmp_path):
    with (
        runner._sole_use(tmp_path),
        pytest.raises(VisageError, match=rf"Another run is using .* \(process {os.getpid()}\)"),
    ):
        run(tmp_path)
    run(tmp_path)


def test_a_root_that_cannot_be_used_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VisageError, match="cannot be used"):
        run(tmp_path / "file" / "root")


def test_an_unknown_step_to_force_is_a_usage_error(tmp_path):
    with pytest.raises(VisageError, match="There is no step trian") as caught:
        run(tmp_path, force=["trian"])
    assert caught.value.exit_code == 2


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {project!r})
from tests.pipeline.local.test_runner import NAMES, run
if __name__ == "__main__":
    run(Path(sys.argv[1]), seconds=dict.fromkeys(NAMES, 0.4))
"""


def test_killed_at_any_moment_the_next_run_completes_and_takes_nothing_half_written_for_whole(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(project=str(Path(__file__).parents[3])))
    root = tmp_path / "root"
    for step in NAMES:
        process = subprocess.Popen([sys.executable, script, root])
        artifacts = root / "artifacts" / step
        wait_for(lambda here=artifacts: list(here.glob(".*.partial/half")))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not list(artifacts.glob(f"[!.]*/{MANIFEST}")), "killed in the middle of the step"
    outcome, _ = run(root, seconds=dict.fromkeys(NAMES, 0.4))
    assert result(outcome) == 15
    assert outcome.reused[:1] == ["draw"]
    assert not list(root.glob("artifacts/*/.*.partial"))
    assert not list(root.glob("artifacts/*/*/half"))


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
