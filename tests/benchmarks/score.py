"""Speed and memory of scoring: the job beside the bare model, the naive loop and Beam's RunInference.

    python tests/benchmarks/score.py                            everything, half an hour on two cores
    python tests/benchmarks/score.py --faces 2000 --rounds 1 --only faces
    python tests/benchmarks/score.py --only ways --estimator DIR    what was tried for speed, on a trained estimator

Faces are UTKFace's, 200x200, if utkface_10k.zip is in ../shared/data or where VISAGE_SHARED_DATA says, else drawn ones; photos
with faces on them are those of photos.zip, else drawn groups. Without --estimator the model is the recipe's, with random weights,
which is as fast as a trained one. The job is the whole step, from its settings to the last file in its place, model loaded and
drift measured; only the registry is left out. Libraries are imported, and every path is gone through once, before anything is
timed. Rates are images a second, the median of several rounds in turn; those of one run can be compared with each other, and
with nothing else.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GLOG_minloglevel", "3")
os.environ.setdefault("PYTHONWARNINGS", "ignore")

from tests.benchmarks.scoring import detection, faces, memory, ways
from tests.benchmarks.scoring.job import write_model

SUBJECTS = {"faces": faces.figures, "detect": detection.figures, "ways": ways.figures, "memory": memory.figures}

logging.disable(logging.WARNING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=20_000, help="faces of the faces-only job")
    parser.add_argument("--photos", type=int, default=2080, help="photos of the job with detection")
    parser.add_argument(
        "--large", type=int, default=100_000, help="faces of the larger memory figure; a tenth of the other"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed, in turn")
    parser.add_argument("--workers", type=int, default=0, help="of the jobs; 0: one a core")
    parser.add_argument("--recipe", default="default", help="whose estimator is used")
    parser.add_argument("--estimator", type=Path, help="folder of a trained estimator, to be used instead")
    parser.add_argument("--detector", default="fast", choices=("fast", "thorough"))
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        model = write_model(folder / "model", options)
        for subject in options.only:
            figures |= SUBJECTS[subject](model, folder, options)
    for name, figure in figures.items():
        print(f"{name:56} {figure:12,.3f}")
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
