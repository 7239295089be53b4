"""`visage ui`: the MLflow UI on the store of a pipeline root, or on the server that MLFLOW_TRACKING_URI names."""

import argparse
import os
import socket
import sys
from pathlib import Path

from components.registry.mlflow_server import AS_MODEL_TRAINING
from pipeline import tracking
from pipeline.cli.arguments import Commands, add_root
from schemas.error import VisageError
from schemas.redaction import redact


def add(commands: Commands) -> None:
    """Add `visage ui`."""
    parser = commands.add("ui", _ui, "open the MLflow UI on the runs and model versions")
    add_root(parser)
    parser.add_argument("--port", type=_port, default=5000, help="default: 5000")


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535")
    return int(text)


def _ui(arguments: argparse.Namespace) -> None:
    serve(arguments.root, arguments.port)


def serve(root: Path, port: int) -> None:
    """Serve the UI on this machine until it is stopped.

    Raises:
        VisageError: nothing has been run under that root, or the port is taken.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri and uri.startswith("http"):
        print(f"MLFLOW_TRACKING_URI names a server, which has the UI itself: {redact(uri)}")
        return
    tracking.use_store(root)
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise VisageError(f"Port {port} is in use.", "Choose another with --port.", usage=True)
    address = f"http://127.0.0.1:{port}/#/experiments?{AS_MODEL_TRAINING}"
    print(f"MLflow UI: {address}  (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, [*command, "--backend-store-uri", os.environ["MLFLOW_TRACKING_URI"]])
