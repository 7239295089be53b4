"""A report as one HTML file: tables and pictures stand inside it, so that it opens anywhere, offline too."""

import base64
import io
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.storage.names import shown
from schemas.redaction import redact

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Heading:
    """A heading within the page."""

    text: str
    kind = "heading"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `look` may be `good`, `bad` or `quiet`."""

    text: str
    look: str = ""
    kind = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list; nothing where there are no lines."""

    lines: Sequence[str]
    kind = "bullets"


@dataclass(frozen=True)
class Table:
    """A table, nothing where there are no rows; columns of numbers are set to the right, and None is a dash.

    Attributes:
        columns: their heads, with units.
        rows: of cells.
        caption: above the table.
        faint: indices of rows that are greyed, for instance because too little stands behind them.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    faint: Collection[int] = ()
    kind = "table"

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers only."""
        return [all(_is_number(row[place]) for row in self.rows) for place in range(len(self.columns))]


@dataclass(frozen=True)
class Picture:
    """A picture, the bytes of a PNG, JPEG or SVG file, held by the page itself.

    Attributes:
        data: of the file.
        caption: a sentence below it that says what is to be seen.
        format: `png`, `jpeg` or `svg+xml`.
        alt: what stands for it where it is not seen, if that is not the caption.
    """

    data: bytes
    caption: str = ""
    format: str = "png"
    alt: str = ""
    kind = "picture"

    @property
    def source(self) -> str:
        """As the address of an image."""
        return f"data:image/{self.format};base64,{base64.b64encode(self.data).decode()}"

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, so that a page does not jump while it loads; None for what cannot be read."""
        if self.format == "svg+xml":
            match = re.match(rb'<svg [^>]*width="(\d+)" height="(\d+)"', self.data)
            return (int(match[1]), int(match[2])) if match else None
        from PIL import Image

        try:
            with Image.open(io.BytesIO(self.data)) as image:
                return image.size
        except OSError:
            return None


@dataclass(frozen=True)
class Pictures:
    """Pictures beside each other, as many as there is room for; `small` are faces and the like."""

    pictures: Sequence[Picture]
    small: bool = False
    kind = "pictures"


@dataclass(frozen=True)
class Details:
    """Blocks that open at a click."""

    title: str
    blocks: Sequence["Block"]
    kind = "details"


Block = Heading | Paragraph | Bullets | Table | Picture | Pictures | Details


@dataclass(frozen=True)
class Link:
    """A link above the page; one without an address is a place that one is at (`current`), or that has no page."""

    text: str
    address: str = ""
    current: bool = False


@dataclass(frozen=True)
class Surround:
    """What stands around a page's own matter: links to the other pages, and what it was made from."""

    links: Sequence[Link] = ()
    about: Sequence[Block] = ()


def write(path: Path, title: str, blocks: Iterable[Block], surround: Surround = Surround()) -> None:
    """Write a page; its look is that of templates/base.html."""
    variables = {"title": title, "blocks": list(blocks), "links": surround.links, "about": surround.about}
    path.write_text(render("page.html", **variables), encoding="utf-8")


def render(template: str, **variables: Any) -> str:
    """A template of this package, filled in; bytes of a path that are not UTF-8 are written as backslash, x and two digits."""
    return shown(_environment().get_template(template).render(**variables))


def png(figure: Any) -> bytes:
    """A matplotlib figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def figure(value: Any) -> str:
    """A value as all pages write it: thousands apart, two decimals from 1 on and three digits below, None as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1 else f"{value:,.2f}"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def title(name: str) -> str:
    """Name of a figure for people, with its unit."""
    return _TITLES.get(name, name.replace("_", " "))


_TITLES = {
    "age_mae": "age MAE, years",
    "age_cs5": "age within 5 years, share",
    "age_bias": "age, predicted minus true, years",
    "age_interval_coverage": "age within the 90 % interval, share",
    "age_class_accuracy": "age class right, share",
    "age_mean": "mean estimated age, years",
    "gender_accuracy": "gender right, share",
    "gender_auc": "gender, area under the ROC curve",
    "val_age_mae": "validation: age MAE, years",
    "val_age_rmse": "validation: age RMSE, years",
    "val_gender_accuracy": "validation: gender right, share",
    "val_age_class_accuracy": "validation: age class right, share",
    "val_loss": "validation: loss",
    "images_per_second": "images/s",
    "photos_per_second": "photos/s",
    "input_wait": "time spent waiting for images, share",
    "best_epoch": "epoch whose weights were kept",
    "seconds": "time, s",
    "bytes": "size, bytes",
    "photos_new": "photos not seen before",
}


def duration(seconds: float) -> str:
    """A time as people say it: 0.4 s, 42 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("components.report"), autoescape=True, undefined=StrictUndefined, finalize=_hide_secrets
    )
    environment.filters |= {"figure": figure, "duration": duration, "code": _with_code}
    return environment


def _with_code(text: str) -> Any:
    """A text, escaped, in which what stands between backticks is code."""
    from markupsafe import Markup, escape

    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(redact(text)))))


def _hide_secrets(value: Any) -> Any:
    # What a macro gives is Markup, whose texts have been through here.
    return redact(value) if type(value) is str and not value.startswith("data:image/") else value


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
