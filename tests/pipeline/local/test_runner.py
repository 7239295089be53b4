"""The local runner, on a made-up DAG."""

import functools
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from pipeline.local import display, runner
from pipeline.local.display import Display
from pipeline.local.process import WorkerProcess
from pipeline.local.run_record import DONE, FAILED, read_all
from pipeline.local.runner import Outcome
from schemas.artifact import MANIFEST, read_manifest
from schemas.error import VisageError
from tests.pipeline import toy

NAMES = [step.name for step in toy.STEPS]


@pytest.fixture(scope="module")
def store(tmp_path_factory, empty_registry):
    """One MLflow store for all tests: making a new one takes seconds."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    shutil.copyfile(empty_registry, database)
    return f"sqlite:///{database}"


@pytest.fixture(autouse=True)
def tracking_uri(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)


@pytest.fixture(scope="module")
def process(store, tmp_path_factory):
    """One worker for all runs that do not end theirs: importing MLflow takes seconds too."""
    with WorkerProcess({"MLFLOW_TRACKING_URI": store}, tmp_path_factory.mktemp("alive") / "worker") as process:
        yield process


@pytest.fixture
def run(process):
    return functools.partial(start, process=process)


def start(root: Path, *, force=(), steps=toy.STEPS, process=None, **settings) -> tuple[Outcome, str]:
    output = io.StringIO()
    outcome = runner.run(
        toy.recipe(**settings),
        root,
        Display(Console(file=output, width=200)),
        force=force,
        command="visage run --again",
        steps=steps,
        process=process,
    )
    return outcome, output.getvalue()


def result(outcome: Outcome) -> int:
    return int((outcome.artifacts["total"] / "result").read_text())


def test_every_step_runs_once_in_order_and_leaves_a_whole_artifact(run, tmp_path):
    outcome, output = run(tmp_path)
    assert result(outcome) == 2 * 3 + 3**2
    assert [toy.calls(tmp_path, name) for name in NAMES] == [1, 1, 1, 1]
    assert outcome.reused == []
    assert all("done in" in line for line in output.splitlines() if line.startswith("total") and "started" not in line)
    manifest = read_manifest(outcome.artifacts["total"])
    assert manifest.counts == {"result": 15}
    assert set(manifest.inputs) == {"double", "square"}


def test_a_second_run_reuses_every_step_and_starts_no_process(run, tmp_path):
    run(tmp_path)
    outcome, output = run(tmp_path)
    assert outcome.reused == NAMES
    assert [line.split() for line in output.splitlines()] == [[name, "reused"] for name in NAMES]
    assert [toy.calls(tmp_path, name) for name in NAMES] == [1, 1, 1, 1]


def test_a_setting_a_file_outside_or_force_runs_what_depends_on_it_and_nothing_else(run, tmp_path):
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


def test_steps_run_one_after_another(run, tmp_path):
    _, output = run(tmp_path)
    assert [line.split()[:2] for line in output.splitlines()] == [
        [name, what] for name in NAMES for what in ("started", "done")
    ]


def test_a_failure_names_step_cause_log_and_the_command_that_goes_on(run, tmp_path):
    with pytest.raises(VisageError) as caught:
        run(tmp_path, fail="square")
    message = str(caught.value)
    assert "The step square failed: the thing is broken" in message
    assert "Mend the thing." in message
    assert "visage run --again" in message
    log = Path(next(line for line in message.splitlines() if line.startswith("Log: ")).removeprefix("Log: "))
    assert "square says hello" in log.read_text()
    assert caught.value.exit_code == 1


def test_after_a_failure_what_was_done_is_kept_and_the_next_run_starts_there(run, tmp_path):
    """`fail` is a setting and so part of the fingerprint; an input that goes missing is not."""
    source = tmp_path / "source.txt"
    with pytest.raises(VisageError, match="nobody foresaw this"):
        run(tmp_path, fail="total:bug", source=str(source))
    with pytest.raises(VisageError, match="KeyError"):
        run(tmp_path, fail="total:bug", source=str(source))
    assert [toy.calls(tmp_path, name) for name in NAMES] == [1, 1, 1, 2]


def test_a_step_whose_process_is_killed_is_reported_as_such(run, tmp_path):
    with pytest.raises(VisageError, match=r"total failed: its process was ended by signal 9 \(SIGKILL\)"):
        run(tmp_path, fail="total:killed")
    assert not list((tmp_path / "artifacts" / "total").glob(f"[!.]*/{MANIFEST}"))


def test_a_run_that_fails_when_its_steps_are_done_is_one_message_and_its_page_says_so(run, tmp_path):
    with pytest.raises(VisageError, match="MLflow at"):
        run(tmp_path, steps=toy.NAMED_AT_LENGTH)
    (record,) = read_all(tmp_path / "logs")
    assert (record.state, [step.state for step in record.steps]) == (FAILED, [DONE])
    assert "MLflow at" in record.message


def test_two_runs_on_one_root_do_not_step_on_each_other(run, tmp_path):
    with (
        runner._sole_use(tmp_path),
        pytest.raises(VisageError, match=rf"Another run is using .* \(process {os.getpid()}\)"),
    ):
        run(tmp_path)
    run(tmp_path)


def test_a_root_that_cannot_be_used_is_one_message(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VisageError, match="cannot be used"):
        run(tmp_path / "file" / "root")


def test_an_unknown_step_to_force_is_a_usage_error(run, tmp_path):
    with pytest.raises(VisageError, match="There is no step trian") as caught:
        run(tmp_path, force=["trian"])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("terminal", [True, False])
def test_what_a_step_tells_after_its_end_holds_nothing_up(process, tmp_path, terminal):
    """There is more of it than a pipe holds, and to a display without that step."""
    screen = display.for_console(Console(file=io.StringIO(), force_terminal=terminal))
    with screen:
        outcome = runner.run(
            toy.recipe(late="draw", seconds={"double": 1}), tmp_path, screen, steps=toy.STEPS, process=process
        )
    assert result(outcome) == 15


def test_a_step_that_has_nothing_to_do_is_skipped_and_the_run_says_so(run, tmp_path):
    outcome, output = run(tmp_path, steps=toy.ASKED_FIRST, nothing=True)
    assert outcome.skipped == {"accept": "there is nothing to do"}
    assert list(outcome.artifacts) == ["draw"]
    assert "skipped: there is nothing to do" in output


def test_an_artifact_that_no_longer_says_what_is_so_is_made_anew(run, tmp_path):
    outcome, _ = run(tmp_path, steps=toy.ASKED_FIRST)
    assert run(tmp_path, steps=toy.ASKED_FIRST)[0].reused == ["draw", "accept"]
    (outcome.artifacts["accept"] / "accepted").unlink()
    assert run(tmp_path, steps=toy.ASKED_FIRST)[0].reused == ["draw"]
    assert run(tmp_path, steps=toy.ASKED_FIRST)[0].reused == ["draw", "accept"]


@pytest.fixture(scope="module")
def registry(store):
    return MlflowClient(store, store)


class TestTheChampion:
    @pytest.fixture
    def registered(self, registry, tmp_path):
        """Name of a registered model of the test's own."""
        name = tmp_path.name
        registry.create_registered_model(name)
        return name

    @staticmethod
    def promote(registry, name, **tags):
        version = registry.create_model_version(name, "somewhere", tags=tags)
        registry.set_registered_model_alias(name, "champion", version.version)

    def test_that_moved_is_met_again_by_a_fresh_comparison_and_nothing_else_is_made_anew(
        self, run, registry, registered, tmp_path
    ):
        outcome, _ = run(tmp_path / "root", steps=toy.COMPARING, registered=registered)
        assert outcome.manifests["compare"].counts["champion"] == "None"
        self.promote(registry, registered)
        outcome, _ = run(tmp_path / "root", steps=toy.COMPARING, registered=registered)
        assert outcome.reused == ["draw", "double"]
        assert outcome.manifests["compare"].counts["champion"] == f"{registered}/1"
        assert run(tmp_path / "root", steps=toy.COMPARING, registered=registered)[0].reused == [
            "draw",
            "compare",
            "double",
        ]

    def test_under_another_name_is_looked_for_and_nothing_made_anew_where_there_is_none_either(
        self, run, registered, tmp_path
    ):
        run(tmp_path / "root", steps=toy.COMPARING, registered=registered)
        outcome, _ = run(tmp_path / "root", steps=toy.COMPARING, registered=f"not-{registered}")
        assert outcome.reused == ["draw", "compare", "double"]

    def test_that_came_of_this_very_comparison_need_not_be_compared_with_itself(
        self, run, registry, registered, tmp_path
    ):
        outcome, _ = run(tmp_path / "root", steps=toy.COMPARING, registered=registered)
        fingerprint = outcome.manifests["compare"].fingerprint
        self.promote(registry, registered, **{"visage.input.compare": fingerprint})
        outcome, _ = run(tmp_path / "root", steps=toy.COMPARING, registered=registered)
        assert outcome.reused == ["draw", "compare", "double"]
        outcome, _ = run(tmp_path / "root", steps=toy.COMPARING, registered=registered, value=4)
        assert outcome.manifests["compare"].counts["champion"] == f"{registered}/1"


class TestInterrupted:
    def test_work_that_is_not_gone_on_with_is_told_and_outlives_the_run_if_settings_alone_differ(self, run, tmp_path):
        with pytest.raises(VisageError):
            run(tmp_path, steps=toy.RESUMABLE, fail="draw")
        _, output = run(tmp_path, steps=toy.RESUMABLE)
        assert "draw is done anew: the interrupted job in" in output
        assert "settings: toy.fail" in output
        assert len(list((tmp_path / "artifacts" / "draw").glob(".*.partial/half"))) == 1

    def test_what_no_run_will_use_again_is_removed_with_a_line(self, run, tmp_path):
        source = tmp_path / "source"
        source.write_text("one")
        root = tmp_path / "root"
        with pytest.raises(VisageError):
            run(root, steps=toy.RESUMABLE, fail="draw", source=str(source))
        source.write_text("another")
        _, output = run(root, steps=toy.RESUMABLE, source=str(source))
        assert "removed what an interrupted job of draw had left in" in output
        assert not list((root / "artifacts" / "draw").glob(".*.partial"))


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {project!r})
from tests.pipeline.local.test_runner import start
if __name__ == "__main__":
    start(Path(sys.argv[1]), seconds={{sys.argv[2]: 600}})
"""


def test_killed_at_any_moment_the_next_run_completes_and_takes_nothing_half_written_for_whole(run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(project=str(Path(__file__).parents[3])))
    root = tmp_path / "root"
    for step in (NAMES[0], NAMES[-1]):
        process = subprocess.Popen([sys.executable, script, root, step])
        artifacts = root / "artifacts" / step
        while not list(artifacts.glob(".*.partial/half")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not list(artifacts.glob(f"[!.]*/{MANIFEST}")), "killed in the middle of the step"
    outcome, _ = run(root)
    assert result(outcome) == 15
    assert outcome.reused[:1] == ["draw"]
    assert not list(root.glob("artifacts/*/.*.partial"))
    assert not list(root.glob("artifacts/*/*/half"))
