"""Speed of the served model, on this machine alone: `mlflow models serve` under load, beside the bare model.

    MLFLOW_TRACKING_URI=sqlite:////abs/pipeline-root/mlflow.db python tests/benchmarks/serve.py --model models:/visage@champion
    python tests/benchmarks/serve.py --clients 8 --batch 16 --seconds 30

Clients ask one server over the loopback, each the next batch as soon as it has its answer, for as long as is said. The bare model
is the same version in this process, given the same batches by one caller. Faces are drawn noise of 128 pixels as JPEG: what
they show changes no time. Everything is gone through once before anything is timed.
"""

import argparse
import base64
import http.client
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

STARTS_WITHIN = 300.0
"""Seconds that the server may take until it answers."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models:/visage@champion", help="as `mlflow models serve` takes it")
    parser.add_argument("--clients", type=int, default=4, help="that ask at once")
    parser.add_argument("--batch", type=int, default=8, help="faces of a request")
    parser.add_argument("--seconds", type=float, default=15, help="of load; as long again for the bare model")
    options = parser.parse_args()

    faces = [face(seed) for seed in range(options.batch)]
    body = json.dumps({"dataframe_split": {"columns": ["image"], "data": [[text] for text in faces]}})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", options.model, "-p", str(port)]
    # MLflow looks for the server's program on the PATH, also where this Python's environment is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    server = subprocess.Popen(
        [*command, "--env-manager", "local"],
        env={**os.environ, "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, body, server)
        served = load(lambda: ask(port, body), options.clients, options.seconds)
    finally:
        server.terminate()
        server.wait()

    import mlflow
    import pandas as pd

    model, table = mlflow.pyfunc.load_model(options.model), pd.DataFrame({"image": faces})
    model.predict(table)
    bare = load(lambda: model.predict(table), 1, options.seconds)

    figures = {
        "serve_images_per_second": len(served) * options.batch / options.seconds,
        "serve_seconds_median": statistics.median(served),
        "serve_seconds_99": float(np.quantile(served, 0.99)),
        "serve_bare_images_per_second": len(bare) * options.batch / options.seconds,
        "serve_bare_seconds_median": statistics.median(bare),
    }
    for name, figure in figures.items():
        print(f"{name:34} {figure:10,.3f}")
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}))


def face(seed: int) -> str:
    """A JPEG as base64."""
    noise = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((128, 128)).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


def ask(port: int, body: str) -> None:
    """One request; an answer other than 200 ends the benchmark."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise SystemExit(f"The server answers {answer.status}: {text[:300]!r}")


def wait_for(port: int, body: str, server: subprocess.Popen) -> None:
    """Until the server has answered a whole request."""
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            ask(port, body)
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The server does not start: see `mlflow models serve` with the same model.") from None
            time.sleep(0.5)


def load(call: Callable[[], object], clients: int, seconds: float) -> list[float]:
    """Seconds of every call that several callers finish within a time, each the next call after the last."""
    end, latencies = time.monotonic() + seconds, list[float]()

    def work() -> None:
        while (begun := time.monotonic()) < end:
            call()
            latencies.append(time.monotonic() - begun)

    callers = [threading.Thread(target=work) for _ in range(clients)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return latencies


if __name__ == "__main__":
    main()
