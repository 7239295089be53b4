"""What a pipeline run is known by, wherever its steps run: its key, its commit, the owner of its root, its tags in MLflow."""

import os
import secrets
import subprocess
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from components.registry import history
from components.step import identity, imports

TRY_TAG = "visage.try"
"""Tag of a child run: drawn anew for every try of a step. Two runs with one of them are one that was asked for twice."""
RUN_TAG = "visage.run"
ROOT_TAG = "visage.root"
OWNER_TAG = "visage.owner"
OWNER_FILE = ".owner"
STEP_TAG = "visage.step"


@dataclass(frozen=True)
class PipelineRun:
    """What the runs of all steps of one pipeline run have in common.

    Attributes:
        key: names the pipeline run; the parent run carries it as a tag.
        recipe: name of the recipe.
        root: the pipeline root, for a local run; else empty.
        commit: of the project, as `git_commit` gives it.
        owner: who may end the runs that this one leaves open, as `owner_of` gives it; empty where nobody may.
        kubeflow: address of the run in Kubeflow Pipelines' user interface; empty where it has none.
        command: that makes it, without secrets; empty where it is not known.
    """

    key: str
    recipe: str
    root: str = ""
    commit: str = ""
    owner: str = ""
    kubeflow: str = ""
    command: str = ""


def new_key(step: str = "") -> str:
    """A key that no other pipeline run has, here or on another machine; keys stand in the order in which they were made.

    The number of the process would not tell two apart: in containers it is the same, and schedules begin in the same second.

    Args:
        step: that is run alone.
    """
    now = datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]  # by the clock on the wall, for whoever looks for a log
    return "-".join(filter(None, [now, secrets.token_hex(3), step]))


def run_tags(pipeline_run: PipelineRun, step: str) -> dict[str, str]:
    """Tags of a run in the order in which MLflow shows them: first what people look for."""
    source = f"visage run --recipe {Path(pipeline_run.recipe).stem}"
    commit = pipeline_run.commit.removesuffix("-dirty")
    return {
        # What MLflow's columns Source, Version and Created by show.
        "mlflow.source.type": "LOCAL" if pipeline_run.root else "JOB",
        "mlflow.source.name": source,
        **({"mlflow.source.git.commit": commit} if commit else {}),
        "mlflow.user": history.account() or "unknown",
        STEP_TAG: step,
        "visage.recipe": pipeline_run.recipe,
        "visage.git_commit": pipeline_run.commit,
        **({"visage.kubeflow_run": pipeline_run.kubeflow} if pipeline_run.kubeflow else {}),
        RUN_TAG: pipeline_run.key,
        ROOT_TAG: pipeline_run.root,
        "visage.lock": identity.of_lock(),
        OWNER_TAG: pipeline_run.owner,
    }


def git_commit() -> str:
    """Commit of the project's checkout, with `-dirty` where tracked files differ from it; empty where there is none.

    An image has no checkout: VISAGE_GIT_COMMIT says there what it was built from.
    """
    if os.environ.get("VISAGE_GIT_COMMIT"):
        return os.environ["VISAGE_GIT_COMMIT"]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(imports.PROJECT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "setup.py")  # else the repository is that of whoever has it installed
        return git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return ""


def owner_of(folder: Path) -> str:
    """A mark of a folder that no other folder has, on this machine or another; whoever has the folder's lock owns its runs.

    A path would not do: another host has the same. It is kept in the folder, with the number of the very file: a copy of the
    folder is another folder.
    """
    file = folder / OWNER_FILE
    try:
        mark, _, number = file.read_text().partition(" ")
        if mark and number == str(file.stat().st_ino):
            return mark
    except FileNotFoundError:
        pass
    mark = uuid.uuid4().hex
    file.unlink(missing_ok=True)
    with file.open("x") as new:
        new.write(f"{mark} {os.fstat(new.fileno()).st_ino}")
    return mark
