"""Pages as headless Chromium shows them (Debian: `apt-get install chromium`)."""

import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

PHONE, DESK = 390, 1200
"""Widths in pixels."""

_LOOK = """
<script>
addEventListener("load", () => parent.postMessage({
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  broken: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
  images: document.images.length,
  without_alt: [...document.images].filter(image => !image.alt.trim()).length,
  headings: [...document.querySelectorAll("h1, h2, h3")].map(head => head.tagName + " " + head.textContent.trim()),
  unsorted: [...document.querySelectorAll("table.sortable")].filter(table => {
    const button = table.querySelector("th button");
    if (!button) return true;
    button.click();
    return !table.querySelector("th[aria-sort=ascending]");
  }).length,
  first_cells: [...document.querySelectorAll("td:first-child")].map(cell => cell.textContent),
  dark: getComputedStyle(document.body).backgroundColor,
  links: [...document.links].map(link => link.href),
}, "*"));
</script>
"""


@dataclass(frozen=True)
class RenderedPage:
    """What a page looks like.

    Attributes:
        overflow: pixels by which it is wider than the window.
        broken: pictures that are not there.
        images: all pictures.
        without_alt: pictures without a text in their place.
        headings: their level and text, in order.
        unsorted: tables that a click on a head does not sort.
        first_cells: of the rows of all tables, once sorted.
        dark: the colour of the paper.
        links: addresses.
        console: what the browser had to say: errors, and requests that the page's own policy forbids.
    """

    overflow: int
    broken: int
    images: int
    without_alt: int
    headings: list[str]
    unsorted: int
    first_cells: list[str]
    dark: str
    links: list[str]
    console: list[str]


def chromium() -> str:
    """The browser; skips the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("there is no Chromium to look at pages with (apt-get install chromium)")
    return program


def look(page: Path, width: int = PHONE, *, dark: bool = False, from_memory: bool = False) -> RenderedPage:
    """Open a page from its file, in a frame: a window of Chromium is 500 pixels wide at least.

    Args:
        page: its file.
        width: of the frame, pixels.
        dark: whether the browser asks for dark pages.
        from_memory: show it as MLflow does, from memory in a frame that may run scripts and no more.
    """
    browser = chromium()
    with tempfile.TemporaryDirectory() as folder:
        looked_at = page.with_name(f".looked-at-{os.getpid()}.html")
        frame = Path(folder, "frame.html")
        text = page.read_text().replace("</body>", _LOOK + "</body>")
        memory = f'sandbox="allow-scripts" srcdoc="{html.escape(text)}"'
        source = memory if from_memory else f"src='{looked_at.as_uri()}'"
        frame.write_text(
            "<body><pre></pre><script>"
            "onmessage = event => document.querySelector('pre').textContent = JSON.stringify(event.data)</script>"
            f"<iframe width={width} height=800 {source}></iframe>"
        )
        looked_at.write_text(text)
        try:
            completed = subprocess.run(
                [
                    browser,
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-background-networking",
                    "--disable-component-update",
                    # The page's clock runs ahead of a frame in another process, whose message then comes too late.
                    "--disable-features=IsolateSandboxedIframes",
                    "--enable-logging=stderr",
                    f"--user-data-dir={folder}/profile",
                    f"--window-size={width + 60},900",
                    f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                    "--virtual-time-budget=5000",
                    "--dump-dom",
                    frame.as_uri(),
                ],
                capture_output=True,
                text=True,
                timeout=500,
                check=True,
            )
        finally:
            looked_at.unlink()
    match = re.search(r"<pre>(.*?)</pre>", completed.stdout, re.DOTALL)
    assert match and match[1], f"the page told nothing: {completed.stdout}\n{completed.stderr}"
    console = re.findall(r"CONSOLE[^\]]*\] (.*)", completed.stderr)
    return RenderedPage(**json.loads(html.unescape(match[1])), console=console)
