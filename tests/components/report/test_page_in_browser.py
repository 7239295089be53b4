"""What the script of a page does, in Chromium."""

import html
import re
import shutil
import subprocess

import pytest

from components.report import page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path")

READS_ITSELF = """<script>addEventListener("load", () => {
  const frame = document.querySelector("iframe"), shown = (frame ?? window).contentDocument ?? document;
  %s
  const cells = [...shown.querySelectorAll("td")].map(cell => cell.textContent);
  document.title = [shown.querySelectorAll("nav a").length, ...cells].join();
})</script>"""


@pytest.fixture
def report(tmp_path) -> str:
    """A page with a link and a table."""
    table = page.Table(["which"], [["9"], ["10"], ["8"]])
    page.write(tmp_path / "report.html", "Report", [table], page.Surround([page.Link("run", "index.html")]))
    return (tmp_path / "report.html").read_text()


def links_and_cells(tmp_path, text: str, script: str = "") -> list[str]:
    """How many links stand above the page in a browser, and what its table's cells say."""
    (tmp_path / "opened.html").write_text(text + READS_ITSELF % script)
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    address = (tmp_path / "opened.html").as_uri()
    shown = subprocess.run(
        [str(CHROMIUM), *options, "--virtual-time-budget=2000", "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (title,) = re.findall("<title>(.*?)</title>", shown.stdout)[:1]
    return title.split(",")


def test_links_lead_from_a_page_that_is_opened(tmp_path, report):
    assert links_and_cells(tmp_path, report) == ["1", "9", "10", "8"]


def test_a_page_in_a_frame_as_mlflow_shows_it_has_no_links_that_lead_nowhere(tmp_path, report):
    framed = f'<title></title><iframe srcdoc="{html.escape(report)}"></iframe>'
    assert links_and_cells(tmp_path, framed) == ["0", "9", "10", "8"]


def test_a_click_sorts_a_column_of_numbers_by_what_they_are(tmp_path, report):
    click = 'shown.querySelector("th button").click();'
    assert links_and_cells(tmp_path, report, click)[1:] == ["8", "9", "10"]
    assert links_and_cells(tmp_path, report, click * 2)[1:] == ["10", "9", "8"]
