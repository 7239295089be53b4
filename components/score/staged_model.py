"""The model on its way to the workers: packed once by whoever starts the job, fetched once by every process that scores."""

import hashlib
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from components.estimator.precision import in_bfloat16
from components.estimator.saved import Estimator, load
from components.score.frozen import frozen
from components.storage import files
from components.storage.names import joined
from components.storage.remote import explaining
from schemas.error import VisageError

_ALWAYS = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the archive: the same model has the same digest."""


@dataclass(frozen=True)
class StagedModel:
    """An estimator as one archive.

    Attributes:
        place: path or URL of the archive.
        digest: SHA-256 of it, hex.
    """

    place: str
    digest: str


def stage(estimator: Path, folder: str) -> StagedModel:
    """Put an estimator where workers find it, unless it lies there already.

    Args:
        estimator: folder of the estimator.
        folder: folder or URL to put it in.

    Raises:
        OSError: it cannot be read or written.
    """
    with tempfile.NamedTemporaryFile(prefix="visage-model-") as packed:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(path for path in estimator.rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(str(file.relative_to(estimator)), _ALWAYS)
                entry.file_size = file.stat().st_size
                with file.open("rb") as source, archive.open(entry, "w") as target:
                    while data := source.read(1 << 20):
                        target.write(data)
        packed.flush()
        digest = _digest(Path(packed.name))
        staged = StagedModel(joined(folder, f"model-{digest[:16]}.zip"), digest)
        if not files.exists(staged.place):
            files.copy(packed.name, staged.place)
    return staged


def fetch(staged: StagedModel, precision: str) -> Estimator:
    """The estimator: one a process, for all its threads; it is fetched and loaded once.

    Args:
        staged: where it lies.
        precision: of its arithmetic, `float32` or `bfloat16`.

    Raises:
        VisageError: it cannot be read or loaded, or is not what was put there.
    """
    with _FETCHING:
        estimator = _FETCHED.get((staged.digest, precision))
        if estimator is None:
            _FETCHED.clear()  # of an earlier job
            estimator = _FETCHED[staged.digest, precision] = _fetched(staged, precision)
        return estimator


_FETCHED: dict[tuple[str, str], Estimator] = {}
_FETCHING = Lock()


def _fetched(staged: StagedModel, precision: str) -> Estimator:
    with tempfile.TemporaryDirectory(prefix="visage-model-") as folder:
        packed = Path(folder, "model.zip")
        with explaining(staged.place):
            files.copy(staged.place, str(packed))
        if _digest(packed) != staged.digest:
            raise VisageError(
                f"{staged.place} is not the model that this job began with.",
                "Something else has written there; name another place with --set beam.staging=PLACE.",
            )
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(Path(folder, "estimator"))
        return ready(load(Path(folder, "estimator")), precision)


def ready(estimator: Estimator, precision: str) -> Estimator:
    """An estimator in the precision that is asked for, made ready for many predictions."""
    return frozen(in_bfloat16(estimator) if precision == "bfloat16" else estimator)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
