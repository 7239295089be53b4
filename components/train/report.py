"""The report of the train step: how the training went, epoch by epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.report import page
from components.train import curves

_SENTENCES = {
    "loss": "Loss on the training and on the validation split: where the second rises while the first still falls, the model "
    "learns the photos by heart.",
    "error of age, years": "Error of the age on the validation split, as mean absolute error and as root of the mean square: "
    "the further they are apart, the more a few faces are missed by far.",
    "accuracy": "Share of right answers on the validation split.",
    "learning rate": "Learning rate at the end of each epoch, as the schedule set it.",
}


def write(
    path: Path, counts: Mapping[str, Any], models: Mapping[Path, int], device: str, surround: page.Surround
) -> None:
    """Write the report as one HTML file.

    Args:
        path: of the file.
        counts: figures of the whole training.
        models: the epoch whose weights were kept, by the folder of the model's `history.csv`: one, or one a fold.
        device: it ran on.
        surround: links and lineage.
    """
    shown = [(page.title(name), value) for name, value in counts.items()]
    parts: list[page.Block] = [
        page.Paragraph(f"Trained on {device}."),
        page.Table(("figure", "value"), shown, "Figures of the weights that were kept, on the validation split."),
    ]
    for number, (folder, best) in enumerate(models.items()):
        parts.append(page.Heading("Epochs" if len(models) == 1 else f"Model {number}, validated on fold {number}"))
        parts += _of_model(curves.read_history(folder / "history.csv"), best)
    page.write(path, "Training", parts, surround)


def _of_model(history: Sequence[Mapping[str, float]], best: int) -> list[page.Block]:
    rows = [dict(row) for row in history]
    pictures = [
        page.Picture(curves.panel(title, there, rows, best), _SENTENCES[title], alt=f"Lines: {title} by epoch")
        for title, names in curves.PANELS
        if (there := [name for name in names if any(name in row for row in rows)])
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[int(row[name]) if name in _WHOLE and name in row else row.get(name) for name in columns] for row in rows]
    table = page.Table([page.title(name) for name in columns], cells)
    # A line needs two points; of one epoch the table says all.
    shown: list[page.Block] = [page.Pictures(pictures)] if len(rows) > 1 else []
    return [*shown, page.Details("All epochs", [table])]


_WHOLE = ("epoch", "steps")
