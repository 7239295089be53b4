"""What a step shows in Kubeflow Pipelines' user interface: its page, its figures, and what its artifact is called elsewhere.

It runs in the step's container, by Kubeflow's contract for containers: files at the paths of the outputs, and one file of JSON
with the metadata of all of them. Nothing here imports kfp.
"""

import enum
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.step import Step
from schemas.artifact import Manifest
from schemas.error import VisageError

OUTPUT = "artifact"
METRICS = "metrics"
PAGE = "page"
"""Names of a task's outputs."""


class PageKind(enum.Enum):
    """What a step has for people to look at."""

    HTML = ".html"
    PICTURES = ".png"


@dataclass(frozen=True)
class Outputs:
    """Where Kubeflow expects what a task has to show.

    Attributes:
        executor_input: what Kubeflow tells a task of its inputs and outputs, as JSON.
        page: file for the page; None where the step has none.
    """

    executor_input: Mapping[str, Any]
    page: Path | None = None

    def write(self, step: Step, folder: Path, manifest: Manifest, links: Mapping[str, str]) -> None:
        """Show an artifact that is done.

        Args:
            step: that made it.
            folder: the artifact.
            manifest: its manifest.
            links: addresses worth a click, by name.
        """
        if self.page:
            _write_page(step, folder, self.page)
        figures = {
            name: float(value)
            for name, value in manifest.counts.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        }
        texts = {name: value for name, value in manifest.counts.items() if isinstance(value, str)}
        self._write_metadata(
            {OUTPUT: {"fingerprint": manifest.fingerprint, **texts, **registered(folder), **links}, METRICS: figures}
        )

    def _write_metadata(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        outputs = self.executor_input.get("outputs", {})
        artifacts = {}
        for name, values in metadata.items():
            for artifact in outputs.get("artifacts", {}).get(name, {}).get("artifacts", []):
                artifacts[name] = {"artifacts": [{**artifact, "metadata": dict(values)}]}
        if artifacts and outputs.get("outputFile"):
            file = Path(outputs["outputFile"])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"artifacts": artifacts}))


def parse(executor_input: str, page: Path | None) -> Outputs | None:
    """The outputs of a task as its command line names them; None where nobody asks for them.

    Raises:
        VisageError: the text is not what Kubeflow gives.
    """
    if not executor_input:
        return None
    try:
        values = json.loads(executor_input)
    except ValueError as error:
        raise VisageError(f"--executor-input is not JSON: {error}", usage=True) from error
    if not isinstance(values, dict):
        raise VisageError("--executor-input is not what Kubeflow Pipelines gives for {{$}}.", usage=True)
    return Outputs(values, page)


def page_kind(step: Step) -> PageKind | None:
    """What a step's reports hold for people to look at: a page if there is one, else pictures."""
    return next((kind for kind in PageKind if any(glob.endswith(kind.value) for glob in step.report_globs)), None)


def registered(folder: Path) -> dict[str, str]:
    """The address in the registry of the model version that an artifact names; empty where it names none."""
    try:
        record = json.loads((folder / "registered.json").read_text())
        return {"registry_uri": f"models:/{record['name']}/{record['version']}"}
    except (OSError, ValueError, KeyError):
        return {}


def _write_page(step: Step, folder: Path, target: Path) -> None:
    from components.report import page

    kind = page_kind(step)
    files = sorted(
        file for glob in step.report_globs if kind and glob.endswith(kind.value) for file in folder.glob(glob)
    )
    if not files:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind is PageKind.PICTURES:
        pictures = [page.Picture(file.read_bytes(), str(file.relative_to(folder))) for file in files]
        page.write(target, step.name, pictures)
    else:
        shutil.copyfile(files[0], target)
