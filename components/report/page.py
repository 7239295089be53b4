"""A report as one HTML file: tables and pictures stand inside it, so that it opens anywhere, offline too."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.redaction import redact


@dataclass(frozen=True)
class Heading:
    """A heading within the page."""

    text: str
    kind = "heading"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `look` may be `good` or `bad`."""

    text: str
    look: str = ""
    kind = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    lines: Sequence[str]
    kind = "bullets"


@dataclass(frozen=True)
class Table:
    """A table; columns of numbers are set to the right, and None is a dash."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    kind = "table"

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers only."""
        return [all(_is_number(row[place]) for row in self.rows) for place in range(len(self.columns))]


@dataclass(frozen=True)
class Picture:
    """A picture, the bytes of a PNG or JPEG file, held by the page itself."""

    data: bytes
    caption: str = ""
    format: str = "png"
    kind = "picture"

    @property
    def source(self) -> str:
        """As the address of an image."""
        return f"data:image/{self.format};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Pictures:
    """Small pictures beside each other."""

    pictures: Sequence[Picture]
    kind = "pictures"


Block = Heading | Paragraph | Bullets | Table | Picture | Pictures


def write(path: Path, title: str, blocks: Iterable[Block]) -> None:
    """Write a page; its look is that of templates/page.html."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("components.report"), autoescape=True, undefined=StrictUndefined, finalize=_hide_secrets
    )
    environment.filters["figure"] = _figure
    path.write_text(environment.get_template("page.html").render(title=title, blocks=list(blocks)), encoding="utf-8")


def png(figure: Any) -> bytes:
    """A matplotlib figure as PNG."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110)
    return held.getvalue()


def _hide_secrets(value: Any) -> Any:
    # What a macro gives is Markup, whose texts have been through here.
    return redact(value) if type(value) is str and not value.startswith("data:image/") else value


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1 else f"{value:,.2f}"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
