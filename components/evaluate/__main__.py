"""`python -m components.evaluate`."""

import sys

from components.evaluate import STEP
from components.step.command import main

sys.exit(main(STEP))
