"""The ingest step as a command: `python -m components.ingest`."""

import sys

from components.alone import main
from components.ingest import STEP

if __name__ == "__main__":
    sys.exit(main(STEP))
