"""infra/CAPACITY.md holds what infra/capacity.py prints, and the script computes what it says."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[2] / "infra"
SCRIPT = INFRA / "capacity.py"


def printed(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], check=True, capture_output=True, text=True, timeout=300
    ).stdout


def row(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_the_page_has_the_tables_that_the_script_prints():
    assert printed() in (INFRA / "CAPACITY.md").read_text()


def test_core_hours_follow_from_rate_wait_and_efficiency():
    options = (
        "--score_detect",
        "10",
        "--get_score",
        "1",
        "--latency",
        "0.1",
        "--efficiency",
        "0.5",
        "--deadline",
        "1000",
    )
    text = printed(*options)
    # 0.1 s to open a photo and 0.1 s to wait for it, at half of that speed: 100 M photos take 0.4 s each
    assert row(text, "photos/s a core")[3] == "5"
    assert row(text, "of it waiting for the store")[3] == "50%"
    assert row(text, "core hours")[3] == "11,000"
    assert row(text, "machines of 8 cores")[3] == "2"
    assert row(text, "cores, USD")[3] == "560"


def test_a_figure_that_is_given_is_said_to_be():
    assert "| `core_hour` | 0.02 USD | given |" in printed("--core_hour", "0.02")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "much"])
def test_a_figure_that_is_none_is_one_message(value):
    process = subprocess.run([sys.executable, str(SCRIPT), f"--deadline={value}"], capture_output=True, text=True)
    assert process.returncode == 2
    assert "--deadline" in process.stderr and "Traceback" not in process.stderr


def test_prices_and_waits_may_be_nothing():
    assert row(printed("--core_hour", "0", "--latency", "0"), "cores, USD")[3] == "0"


@pytest.mark.parametrize(
    ("name", "module", "constant"), [("at_once", "files", "_AT_ONCE"), ("part_faces", "plan", "PART")]
)
def test_figures_of_the_code_are_the_codes(name, module, constant):
    import components.score.plan
    import components.storage.files

    modules = {"files": components.storage.files, "plan": components.score.plan}
    figures = {entry.name: entry.value for entry in runpy.run_path(str(SCRIPT))["FIGURES"]}
    assert figures[name] == getattr(modules[module], constant)
