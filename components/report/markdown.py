"""The parts of a page as Markdown, for places that show that: MLflow's descriptions, model hubs."""

from collections.abc import Iterable

from components.report import page
from schemas.redaction import redact


def text(title: str, blocks: Iterable[page.Block]) -> str:
    """A page as Markdown; pictures are left out."""
    return f"# {redact(_plain(title))}\n\n{body(blocks)}"


def body(blocks: Iterable[page.Block], between_cells: str = " | ") -> str:
    """The same without a title; `between_cells` may be `WIDE`."""
    return redact("\n\n".join(part for block in blocks if (part := _block(block, between_cells)))) + "\n"


WIDE = "\u2003\u200c|"
"""Between cells, for viewers that set a table without any space, as MLflow's does: a wide space, and a character of no width
behind it, for spaces at the end of a cell are cut off. A line of such a character then follows each table."""


def _block(block: page.Block, between_cells: str) -> str:
    if isinstance(block, page.Heading):
        return f"## {_plain(block.text)}"
    if isinstance(block, page.Paragraph):
        return block.text
    if isinstance(block, page.Bullets):
        return "\n".join(f"- {line}" for line in block.lines)
    if isinstance(block, page.Table):
        return _table(block, between_cells)
    if isinstance(block, page.Details):
        return "\n\n".join([f"### {_plain(block.title)}", *(_block(one, between_cells) for one in block.blocks)])
    return ""


def _table(block: page.Table, between_cells: str) -> str:
    if not block.rows:
        return ""
    rule = ["---:" if is_number else "---" for is_number in block.numeric]
    rows = [block.columns, *([page.figure(value) for value in row] for row in block.rows)]
    lines = [f"| {between_cells.join(_plain(str(cell)).replace('|', '/') for cell in row)} |" for row in rows]
    lines.insert(1, f"| {' | '.join(rule)} |")
    below = ["", "\u200c"] if between_cells == WIDE else []
    return "\n".join(([block.caption, ""] if block.caption else []) + lines + below)


def _plain(value: str) -> str:
    return " ".join(value.split())
