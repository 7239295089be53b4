"""Face detectors; which one, and why, is measured in README.md beside this file."""

from components.score.faces import Detector


def detector(kind: str, min_score: float) -> Detector:
    """A detector for the thread that asks."""
    raise NotImplementedError(kind, min_score)
