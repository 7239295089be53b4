"""The stage of the job that ingest_scale.py puts in the photos' place; by itself, since workers import it."""

from components.ingest.face_cache import FaceCache
from components.ingest.job import ExtractFaces
from tests.benchmarks.ingest_scale import MadeUpFaces


class ExtractMadeUpFaces(ExtractFaces):
    """Takes made-up faces."""

    def setup(self) -> None:
        self._taker = MadeUpFaces(self._settings.ingest.split)  # type: ignore[assignment]
        self._known, self._processes = FaceCache(""), None
