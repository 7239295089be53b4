"""Pages in a browser: those of made-up runs and steps, at the width of a phone."""

import io

import pytest
from PIL import Image

from components.report import charts, page
from pipeline.local.run_page import RunPage
from pipeline.local.run_record import DONE, FAILED
from schemas.artifact import Manifest
from tests import browser
from tests.pipeline import toy

pytestmark = pytest.mark.slow


def jpeg(side: int = 96) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), "#a08060").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def step_page(tmp_path_factory):
    """A page with one of everything, as wide as pages get."""
    folder = tmp_path_factory.mktemp("page")
    columns = ["split", *(f"{age}-{age + 9} years of age" for age in range(0, 100, 10))]
    (chart,) = charts.ages_by_split({"train": {"female": {30: 2}, "male": {40: 3}}}).pictures
    blocks: list[page.Block] = [
        page.Paragraph("All is well.", "good"),
        page.Heading("Table"),
        page.Table(
            columns, [["train", *range(10)], ["a_name_without_any_place_to_break_it" * 3, *range(10, 20)]], faint=[1]
        ),
        chart,
        page.Heading("Faces"),
        page.Pictures([page.Picture(jpeg(), "30 female", "jpeg")] * 30, small=True),
        page.Details("More", [page.Bullets(["one", "/a/path/that/is/very/long/" * 8])]),
    ]
    links = [
        page.Link(name, f"../{name}.html") for name in ("run", "ingest", "validate", "train", "evaluate", "register")
    ]
    page.write(folder / "report.html", "A step", blocks, page.Surround(links, [page.Details("Settings", [])]))
    return folder / "report.html"


@pytest.fixture(scope="module")
def run_page(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    earlier = RunPage.start(root, toy.STEPS, key="20260101-000000-1", recipe="toy")
    earlier.end(FAILED, "The step draw failed: it could not.\nLog: /a/place")
    run = RunPage.start(
        root, toy.STEPS, key="20260102-000000-1", recipe="toy", command="visage run --set a=" + "b" * 200
    )
    artifact = root / "artifacts" / "draw" / "f00d"
    artifact.mkdir(parents=True)
    page.write(artifact / "report.html", "Draw", [])
    counts = {"result": 6, "warnings": ["Something is odd."], "speed": 1234.5} | {f"figure_{n}": n for n in range(12)}
    run.step_whole("draw", artifact, Manifest("draw", "f00d", {}, counts=counts, seconds=200), reused=False)
    run.step_skipped("double", "there is nothing to do")
    run.end(DONE)
    return root / "index.html"


@pytest.mark.parametrize("width", [browser.PHONE, browser.DESK])
@pytest.mark.parametrize("which", ["step_page", "run_page"])
def test_a_page_fits_is_whole_and_asks_for_nothing(which, width, request):
    rendered = browser.look(request.getfixturevalue(which), width)
    assert rendered.console == []
    assert rendered.overflow == 0
    assert rendered.broken == rendered.without_alt == rendered.unsorted == 0
    assert rendered.images == (31 if which == "step_page" else 0)
    assert [head[:2] for head in rendered.headings].count("H1") == 1 and rendered.headings[0].startswith("H1")
    assert all(link.startswith("file:") for link in rendered.links)


def test_a_page_that_mlflow_shows_has_no_links_to_pages_that_are_not_there(step_page):
    assert browser.look(step_page).links
    from_memory = browser.look(step_page, from_memory=True)
    assert (from_memory.links, from_memory.images, from_memory.console) == ([], 31, [])


def test_a_table_is_sorted_by_what_its_cells_mean(tmp_path):
    cells = ["10.50 (9.00 to 11.00)", "–", "1,000.00", "-2.00 (-4.00 to 0.00)", "7%", "words"]
    page.write(tmp_path / "page.html", "Sorted", [page.Table(["error"], [[cell] for cell in cells])])
    wanted = ["-2.00 (-4.00 to 0.00)", "7%", "10.50 (9.00 to 11.00)", "1,000.00", "words", "–"]
    assert browser.look(tmp_path / "page.html").first_cells == wanted


def test_a_page_is_dark_where_that_is_wanted(step_page):
    assert browser.look(step_page).dark == "rgb(255, 255, 255)"
    assert browser.look(step_page, dark=True).dark == "rgb(20, 23, 26)"


def test_a_request_or_a_page_too_wide_would_be_seen(tmp_path):
    page.write(tmp_path / "good.html", "Good", [])
    text = (tmp_path / "good.html").read_text()
    bad = tmp_path / "bad.html"
    bad.write_text(text.replace("<main>", '<main><img src="http://127.0.0.1:9/x.png"><p style="width:900px">wide</p>'))
    rendered = browser.look(bad)
    assert rendered.overflow > 300 and rendered.broken == rendered.without_alt == 1
    assert any("Content Security Policy" in line for line in rendered.console)
