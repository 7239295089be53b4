"""`python -m components.train`."""

import sys

from components.step.command import main
from components.train import STEP

sys.exit(main(STEP))
