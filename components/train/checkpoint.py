"""Checkpoints: what a run that was killed goes on from.

A checkpoint is one NumPy file, written beside its name and then renamed, so that there is never half of one. It holds arrays
and a few figures as JSON; reading it runs no code.
"""

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

_STATE = "state"


def write(path: Path, groups: Mapping[str, Sequence[keras.Variable]], state: Mapping[str, Any]) -> None:
    """Write the values of groups of variables, and what else must be known to go on."""
    arrays = {f"{name}/{i}": np.asarray(variable) for name, group in groups.items() for i, variable in enumerate(group)}
    arrays[_STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read(path: Path, groups: Mapping[str, Sequence[keras.Variable]]) -> dict[str, Any] | None:
    """Put the values back into the variables and give the state; None where there is no such checkpoint.

    Raises:
        ValueError: the file is damaged, or is of other variables; some may have been changed.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name, group in groups.items():
                for number, variable in enumerate(group):
                    variable.assign(arrays[f"{name}/{number}"])
            return json.loads(arrays[_STATE].tobytes())
    except FileNotFoundError:
        return None
    except (KeyError, ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
