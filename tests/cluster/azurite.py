"""Azurite, an emulator of Azure's storage, installed once by npm and kept in the user's cache."""

import os
from pathlib import Path

from tests.cluster.go_servers import build, cache

PACKAGE = "azurite@3.35.0"


def blob_server() -> Path:
    """Its program for blobs.

    Raises:
        Unavailable: there is no npm, or no way to its registry, or it takes too long.
    """
    folder = cache() / "azurite"
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        build("azurite", ["npm", "install", "--no-audit", "--no-fund", "--prefix=.", PACKAGE], folder, dict(os.environ))
    return program
