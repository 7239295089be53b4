"""How training went: a table and a picture."""

import csv
from pathlib import Path

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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for name in filter(history[0].__contains__, names):
            axes.plot(epochs, [row[name] for row in history], marker=".", label=name)
        axes.axvline(best, color="grey", linestyle=":", label=f"best, epoch {best}")
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    FigureCanvasAgg(figure).print_png(path)
