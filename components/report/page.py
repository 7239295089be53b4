"""A report as one HTML file: tables and pictures stand inside it, so that it opens anywhere, offline too."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from schemas.secrets import redact

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.2rem }
table { border-collapse: collapse; margin: .8rem 0 } caption { text-align: left; color: #666 }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100% } figure { margin: 1rem 0 } figcaption { color: #666 }
.good { color: #1a7f37 } .bad { color: #b3261e }
"""


def write(path: Path, title: str, parts: Iterable[str]) -> None:
    """Write a page made of the parts that the functions below give."""
    body = "\n".join(parts)
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_shown(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{_shown(title)}</h1>\n{body}\n</body></html>\n",
        encoding="utf-8",
    )


def heading(text: str) -> str:
    return f"<h2>{_shown(text)}</h2>"


def paragraph(text: str, look: str = "") -> str:
    """A paragraph; `look` may be `good` or `bad`."""
    return f'<p class="{look}">{_shown(text)}</p>' if look else f"<p>{_shown(text)}</p>"


def bullets(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_shown(line)}</li>" for line in lines) + "</ul>"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table; numbers are set to the right, and None is a dash."""
    rows = [list(row) for row in rows]
    numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
    head = "".join(_cell("th", name, right) for name, right in zip(columns, numeric, strict=True))
    body = "".join(
        "<tr>" + "".join(_cell("td", value, right) for value, right in zip(row, numeric, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><caption>{_shown(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def picture(data: bytes, caption: str = "", kind: str = "png") -> str:
    """A PNG or JPEG picture, held by the page itself."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<figure><img src="{source}" alt="{_shown(caption)}"><figcaption>{_shown(caption)}</figcaption></figure>'


def png(figure: Any) -> bytes:
    """A matplotlib figure as PNG."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110)
    return held.getvalue()


def _shown(text: str) -> str:
    return escape(redact(text))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(tag: str, value: Any, right: bool) -> str:
    text = "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    if isinstance(value, float):
        text = f"{value:,.3g}" if abs(value) < 1 else f"{value:,.2f}"
    return f'<{tag} class="number">{text}</{tag}>' if right else f"<{tag}>{_shown(text)}</{tag}>"
