"""The screenful at the end of a run: what came in, how good the model is, what it is called, where things lie."""

import json
import os
import shlex
import textwrap
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.local import run_page
from pipeline.local.runner import Outcome
from schemas.redaction import redact


def show(console: Console, outcome: Outcome, root: Path) -> None:
    """Print the outcome of a whole run."""
    data = _read(outcome, "ingest", "summary.json")
    metrics = _read(outcome, "evaluate", "metrics.json")
    registered = _read(outcome, "register", "registered.json")

    console.print()
    _show_data(console, data)
    _show_quality(console, metrics)
    _show_model(console, registered, metrics)
    _show_scores(console, outcome)
    console.print(f"[bold]Page[/]    {run_page.address(root)}", highlight=False, soft_wrap=True)
    console.print(f"[bold]MLflow[/]  {escape(_ui_command(root))}", highlight=False, soft_wrap=True)
    reused = len(outcome.reused)
    steps = len(outcome.artifacts)
    console.print(f"\n{steps} steps, {reused} reused, {outcome.seconds:.1f} s", highlight=False)


def _show_data(console: Console, data: dict[str, Any]) -> None:
    rejects = {reason: count for reason, count in data["rejects"].items() if count}
    console.print(
        f"[bold]Data[/]    {data['rows']:,} rows = {data['examples']:,} examples + {sum(rejects.values()):,} rejects",
        highlight=False,
    )
    ordered = sorted(rejects.items(), key=lambda item: -item[1])
    counts = ", ".join(f"{reason}\N{NO-BREAK SPACE}{count:,}" for reason, count in ordered)
    _paragraph(console, counts)


def _show_quality(console: Console, metrics: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(f"[bold]Test[/]    {metrics['examples']:,} examples")
    for column in ("estimator", "95 % interval", "baseline", "champion"):
        table.add_column(column, justify="right")
    champion = metrics.get("champion") or {}
    rows = (
        ("age MAE, years", "age_mae", "{:.2f}"),
        ("age within 5 years", "age_cs5", "{:.1%}"),
        ("age class right", "age_class_accuracy", "{:.1%}"),
        ("gender right", "gender_accuracy", "{:.1%}"),
        ("gender ROC AUC", "gender_auc", "{:.3f}"),
    )
    for text, key, form in rows:
        figures = [metrics.get(key), metrics.get(f"baseline_{key}"), champion.get(key)]
        if figures[0] is None:
            continue
        estimator, baseline, champion_text = ("-" if figure is None else form.format(figure) for figure in figures)
        low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
        interval = "" if low is None or high is None else f"{form.format(low)} to {form.format(high)}"
        table.add_row(f"        {text}", estimator, interval, baseline, champion_text)
    console.print(table)
    for name, text, form in (
        ("age_mae", "age MAE {} years", "{:.1f}"),
        ("gender_accuracy", "gender right {}", "{:.0%}"),
    ):
        worst = metrics.get("worst_slices", {}).get(name)
        if worst:
            figure_text = text.format(form.format(worst[name]))
            sentence = f"Worst for {worst['slice']} {worst['value']}: {figure_text}, {worst['examples']:,} examples"
            _paragraph(console, sentence)


def _show_model(console: Console, registered: dict[str, Any], metrics: dict[str, Any]) -> None:
    alias = f"alias {registered['alias']}" if registered["alias"] else "no alias"
    console.print(
        f"[bold]Model[/]   {escape(registered['name'])} version {registered['version']}, {alias}", highlight=False
    )
    if not metrics["blessed"]:
        _paragraph(console, f"not blessed: {' '.join(metrics['reasons'])}")


def _show_scores(console: Console, outcome: Outcome) -> None:
    if "score" in outcome.skipped:
        console.print(f"[bold]Scores[/]  none: {escape(outcome.skipped['score'])}", highlight=False)
        return
    console.print(f"[bold]Scores[/]  {escape(_scored(_read(outcome, 'score', 'summary.json')))}", highlight=False)
    path = _from_here(outcome.artifacts["score"] / "scores")
    console.print(f"        {path}", highlight=False, markup=False, soft_wrap=True)


def _paragraph(console: Console, text: str) -> None:
    for line in textwrap.wrap(text, 70):
        console.print(f"        {line}".replace("\N{NO-BREAK SPACE}", " "), highlight=False, markup=False)


def _scored(scores: dict[str, Any]) -> str:
    return (
        f"{scores['photos']:,} photos with {scores['model']}: "
        f"{scores['faces']:,} faces, {scores['without_face']:,} photos without, {scores['rejected']:,} rejects"
    )


def _from_here(path: Path) -> Path:
    """A path as short as can be: from the folder that the command was given in, if it lies below it."""
    working_folder = Path.cwd()
    return path.relative_to(working_folder) if path.is_relative_to(working_folder) else path


def _ui_command(root: Path) -> str:
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith("http"):
        return redact(uri)
    command = ["visage", "ui"] + (["--root", str(root)] if root != Path("pipeline-root") else [])
    return shlex.join(command)


def _read(outcome: Outcome, step: str, file: str) -> dict[str, Any]:
    return json.loads((outcome.artifacts[step] / file).read_text())
