"""The metadata files of IMDB-WIKI, imdb.mat and wiki.mat, as columns."""

import os
import pickle
import posixpath
import signal
import subprocess
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from components.storage import places
from schemas.error import VisageError

_PROJECT = Path(__file__).resolve().parents[3]
PARTS = ("imdb", "wiki")
_NUMBERS = ("dob", "photo_taken", "gender", "face_score", "second_face_score")
_CELLS = ("full_path", "face_location")

_SHAPE = "IMDB-WIKI's metadata is a MATLAB 5 file with one struct, imdb or wiki, of equally long fields."


@dataclass(frozen=True)
class Metadata:
    """The fields of the struct that are used, one entry a row.

    Attributes:
        part: `imdb` or `wiki`.
        paths: of the photos; None where the cell holds no text.
        boxes: left, top, right, bottom; from 1, inclusive; NaN where the cell does not hold four numbers. [rows, 4]
        numbers: the fields of `_NUMBERS`, and celeb_id where there is one.
    """

    part: str
    paths: list[str | None]
    boxes: Any
    numbers: Mapping[str, list[float]]


def load(root: str, name: str, names_encoding: str = "") -> Metadata:
    """The metadata in a .mat file: `name` under the place `root`, or `root` itself.

    SciPy reads the file in a process of its own: a damaged one can crash it (it does so with a segmentation fault), and
    the hundreds of MB that it takes for a while go back to the system.

    Raises:
        VisageError: the file is damaged, of another format, or another struct.
    """
    where = posixpath.join(root, name) if name else root
    paths = os.pathsep.join([str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, root, name, where, names_encoding],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
        check=False,
    )
    if child.returncode == -signal.SIGKILL:
        raise VisageError(f"The reader of {where} was killed, as the system does when memory runs out.")
    if child.returncode < 0:
        raise VisageError(f"{where} is damaged: it crashes the reader of .mat files.", "Fetch it anew.")
    child.check_returncode()
    answer = pickle.loads(child.stdout)
    if isinstance(answer, VisageError):
        raise answer
    return answer


def _answer(root: str, name: str, where: str, encoding: str) -> None:
    """The work of the child: the metadata, or what is wrong with it, to standard output."""
    answer: Metadata | VisageError
    # Libraries may print; what they print must not get into the answer.
    output, sys.stdout = sys.stdout.buffer, sys.stderr
    try:
        answer = parse(places.read(root, name, encoding), where)
    except VisageError as error:
        answer = error
    pickle.dump(answer, output, pickle.HIGHEST_PROTOCOL)


_CHILD = f"import sys; from {__name__} import _answer; _answer(*sys.argv[1:])"


def parse(data: bytes, where: str) -> Metadata:
    """The metadata in the bytes of a .mat file; `where` is its name in messages.

    Raises:
        VisageError: the file is damaged, of another format, or another struct.
    """
    import numpy as np
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        variables = loadmat(BytesIO(data), variable_names=PARTS)
    except NotImplementedError as error:
        raise VisageError(f"{where} is a MATLAB 7.3 file.", _SHAPE) from error
    # What SciPy raises on damaged files is no closed list; NameError is from a variable that it did not get to set.
    except (MatReadError, ValueError, TypeError, LookupError, NameError, OSError, EOFError, zlib.error) as error:
        raise VisageError(f"{where} cannot be read as a .mat file: {error}.", "Is it whole? Fetch it anew.") from error
    except (MemoryError, OverflowError) as error:
        raise VisageError(f"{where} is damaged: it says that it holds more than fits into memory.") from error
    part = next((part for part in PARTS if part in variables), "")
    struct = variables.get(part)
    if struct is None or struct.dtype.names is None or struct.size != 1:
        raise VisageError(f"{where} holds no struct imdb or wiki.", _SHAPE)
    fields = struct.reshape(-1)[0]
    missing = [name for name in (*_NUMBERS, *_CELLS) if name not in struct.dtype.names]
    if missing:
        raise VisageError(f"The struct {part} in {where} lacks {', '.join(missing)}.", _SHAPE)
    used = [*_NUMBERS, *_CELLS, *(["celeb_id"] if "celeb_id" in struct.dtype.names else [])]
    lengths = {name: np.size(fields[name]) for name in used}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise VisageError(f"The fields of {part} in {where} have different lengths: {listed}.", _SHAPE)
    for name in used:
        expected = "O" if name in _CELLS else "biuf"
        if fields[name].dtype.kind not in expected and lengths[name]:
            kind = "cells" if name in _CELLS else "numbers"
            raise VisageError(f"The field {name} of {part} in {where} does not hold {kind}.", _SHAPE)
    numbers = {name: fields[name].ravel().astype(np.float64).tolist() for name in used if name not in _CELLS}
    paths = [_text(cell) for cell in fields["full_path"].ravel()]
    boxes = np.full((len(paths), 4), np.nan)
    for row, cell in enumerate(fields["face_location"].ravel()):
        if isinstance(cell, np.ndarray) and cell.size == 4 and cell.dtype.kind in "iuf":
            boxes[row] = cell.ravel()
    return Metadata(part, paths, boxes, numbers)


def _text(cell: Any) -> str | None:
    return str(cell.flat[0]) if getattr(cell, "size", 0) == 1 and cell.dtype.kind == "U" else None
