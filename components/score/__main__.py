"""`python -m components.score`."""

import sys

from components.score import STEP
from components.step.command import main

sys.exit(main(STEP))
