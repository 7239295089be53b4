"""The page of a run: what it says while a run goes on, and of how it ended."""

import json
import re

import pytest

from components.report import page
from pipeline.local.run_page import RunPage, address
from pipeline.local.run_record import DONE, FAILED, NOT_REACHED, RUNNING, STOPPED, read_all
from schemas.artifact import Manifest
from tests.pipeline import toy

NAMES = [step.name for step in toy.STEPS]


def started(root, key="20260101-000000-1", **described) -> RunPage:
    return RunPage.start(root, toy.STEPS, key=key, recipe="toy", **described)


def text(root) -> str:
    return (root / "index.html").read_text()


def states(root) -> list[str]:
    """Of the steps, as the graph has them."""
    return re.findall(r'<text class="state"[^>]*>(.*?)</text>', text(root))[: len(NAMES)]


def artifact(root, step: str, **counts):
    folder = root / "artifacts" / step / "f00d"
    folder.mkdir(parents=True)
    page.write(folder / "report.html", step, [])
    return folder, Manifest(step, "f00d", {}, counts=counts, seconds=65)


def test_follows_the_run_and_looks_again_only_while_it_goes_on(tmp_path):
    run = started(tmp_path)
    assert states(tmp_path) == ["waiting"] * 4 and 'http-equiv="refresh"' in text(tmp_path)
    run.step_started("draw", tmp_path / "logs" / "draw.log")
    run._last_drawn = 0
    run.step_progress("draw", 3, 12, "things")
    assert states(tmp_path)[0] == "running" and "3 of 12 things" in text(tmp_path)
    run.step_whole("draw", *artifact(tmp_path, "draw", age_mae=5.25, warnings=["Something is odd."]), reused=False)
    run.step_progress("draw", 12, 12, "things")
    run.step_whole("double", *artifact(tmp_path, "double"), reused=True)
    run.step_skipped("square", "there is nothing to square")
    run.end(DONE)
    assert states(tmp_path) == ["done", "reused", "skipped", "not reached"] and "refresh" not in text(tmp_path)
    for expected in (
        "<dt>age MAE, years</dt><dd>5.25</dd>",
        "1 min 5 s",
        "Something is odd.",
        "there is nothing to square",
    ):
        assert expected in text(tmp_path)


def test_links_lead_to_the_pages_from_the_root_and_from_the_runs_own_folder(tmp_path):
    run = started(tmp_path)
    run.step_whole("draw", *artifact(tmp_path, "draw"), reused=False)
    run.end(DONE)
    for folder in (tmp_path, run.folder):
        links = re.findall(r'href="([^"#]+)"', (folder / "index.html").read_text())
        assert any(link.endswith("draw/f00d/report.html") for link in links)
        assert all((folder / link).exists() for link in links)
    assert address(tmp_path) == f"file://{tmp_path}/index.html"


def test_a_failure_says_where_and_what_was_not_reached(tmp_path):
    run = started(tmp_path)
    run.step_started("draw", tmp_path / "logs" / "draw.log")
    run.end(FAILED, "The step draw failed: it could not <b>.")
    assert states(tmp_path) == [FAILED, *[NOT_REACHED] * 3]
    assert "it could not &lt;b&gt;." in text(tmp_path)


def test_earlier_runs_are_listed_and_one_that_was_killed_is_ended(tmp_path):
    killed = started(tmp_path)
    killed.step_started("draw", tmp_path / "logs" / "draw.log")
    started(tmp_path, "20260102-000000-1").end(DONE)
    assert [run.state for run in read_all(tmp_path / "logs")] == [DONE, STOPPED]
    assert "The run was killed." in (killed.folder / "index.html").read_text()
    assert "logs/20260101-000000-1/index.html" in text(tmp_path)
    (killed.folder / "run.json").write_text("{}")
    assert [run.state for run in read_all(tmp_path / "logs")] == [DONE], "what cannot be read is not listed"


def test_credentials_are_on_no_page_and_in_no_record(tmp_path):
    run = started(tmp_path, command="visage run --set beam.options=--token=hush", tracking_uri="http://me:hush@server")
    assert "hush" not in text(tmp_path) + (run.folder / "run.json").read_text()
    assert RUNNING in text(tmp_path)


def test_a_name_that_is_not_utf8_is_shown_with_its_bytes(tmp_path):
    started(tmp_path, command="visage run --root \udcff")
    assert "visage run --root \\xff" in text(tmp_path)


@pytest.mark.parametrize("upright", ["level", "upright"])
def test_every_input_of_a_step_is_a_line_of_the_graph(tmp_path, upright):
    started(tmp_path)
    (graph,) = re.findall(rf'<svg class="{upright}".*?</svg>', text(tmp_path), re.DOTALL)
    assert graph.count("marker-end") == sum(len(step.inputs) for step in toy.STEPS)
    assert json.dumps(NAMES) == json.dumps(re.findall(r'<a href="#(\w+)"', graph))
