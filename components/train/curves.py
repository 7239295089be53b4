"""How training went: a table and a picture."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.report import charts, page

PANELS = (
    ("loss", ("loss", "val_loss")),
    ("error of age, years", ("val_age_mae", "val_age_rmse")),
    ("accuracy", ("val_gender_accuracy", "val_age_class_accuracy")),
    ("learning rate", ("learning_rate",)),
)


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """One line an epoch, as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict[str, float]]:
    """What `write_history` wrote."""
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def draw(path: Path, history: list[dict[str, float]], best: int) -> None:
    """Every figure over the epochs, the best epoch marked, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        _draw_panel(axes, title, [name for name in names if name in history[0]], history, best)
    figure.savefig(path, dpi=100)


def panel(title: str, names: Sequence[str], history: list[dict[str, float]], best: int) -> bytes:
    """Some figures over the epochs as a picture of their own, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.3), layout="constrained")
    _draw_panel(figure.subplots(), title, names, history, best)
    return page.png(figure)


def _draw_panel(axes: Any, title: str, names: Sequence[str], history: list[dict[str, float]], best: int) -> None:
    for name, colour in zip(names, charts.SERIES, strict=False):
        points = [(row["epoch"], row[name]) for row in history if name in row]
        axes.plot(*zip(*points, strict=True), marker=".", color=colour, label=name)
    axes.axvline(best, color=charts.GUIDE, linestyle=":", label=f"best, epoch {best}")
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize="small", frameon=False)
