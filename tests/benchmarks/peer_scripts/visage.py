"""A trained estimator of Visage on the stored faces of a folder; started by peers.py."""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from components.estimator import saved

estimator = saved.load(Path(sys.argv[1]))
jpegs = [file.read_bytes() for file in sorted(Path("stored").iterdir())]
estimator.predict_jpegs(jpegs[:64])
began = time.monotonic()
predictions = estimator.predict_jpegs(jpegs)
seconds = time.monotonic() - began
Path("told.json").write_text(
    json.dumps({"age": predictions.age.tolist(), "female": predictions.female.tolist(), "seconds": [seconds]})
)
