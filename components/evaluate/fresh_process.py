"""Loads a saved estimator in a process of its own, as whoever uses it will, and has it predict a few faces.

What works in the process that trained or measured a model may not work elsewhere: a layer that only this process registered, a
file that only lies here.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from components.step.imports import PROJECT
from schemas.example import FaceExample

FACES = 8
"""Faces that are predicted."""

TOLERANCE_YEARS = 0.25
"""By which ages may differ: the fresh process computes on the CPU, this one perhaps not."""

_TIMEOUT_SECONDS = 600

_PROGRAM = """
import base64, json, pathlib, sys
from components.estimator import saved
estimator = saved.load(pathlib.Path(sys.argv[1]))
predictions = estimator.predict_jpegs([base64.b64decode(line) for line in sys.stdin])
json.dump([[float(value) for value in predictions.age], [float(value) for value in predictions.female]], open(sys.argv[2], "w"))
"""


def objection(estimator: Path, examples: Iterable[FaceExample], faces: pd.DataFrame) -> str:
    """Why a fresh process does not say the same as this one, a sentence; empty if it does.

    Args:
        estimator: folder of the saved estimator.
        examples: of the test split; the first few are asked about.
        faces: what was predicted of them, in their order.
    """
    jpegs = [example.jpeg for example in islice(examples, FACES)]
    packages = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory(prefix="visage-") as scratch:
        answer = Path(scratch) / "predictions.json"
        try:
            completed = subprocess.run(
                [sys.executable, "-c", _PROGRAM, str(estimator.absolute()), str(answer)],
                input="".join(f"{base64.b64encode(jpeg).decode()}\n" for jpeg in jpegs),
                cwd=scratch,
                env=os.environ | {"PYTHONPATH": packages, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"A fresh process did not predict {len(jpegs)} faces within {_TIMEOUT_SECONDS / 60:.0f} minutes."
        if not answer.is_file():
            last = (completed.stderr.strip().splitlines() or [f"exit code {completed.returncode}"])[-1]
            return f"A fresh process cannot load the saved estimator and predict with it: {last}"
        age, female = (np.array(values) for values in json.loads(answer.read_text()))
    expected = faces.iloc[: len(jpegs)]
    same = np.allclose(age, expected["predicted_age"], atol=TOLERANCE_YEARS, equal_nan=True) and np.allclose(
        female, expected["predicted_female"].astype(float), atol=0.01, equal_nan=True
    )
    return "" if same else f"A fresh process that loads the saved estimator says otherwise of {len(jpegs)} test faces."
