"""The ingest step as a command: `python -m components.ingest`."""

import sys

from components.ingest import STEP
from components.step.command import main

if __name__ == "__main__":
    sys.exit(main(STEP))
