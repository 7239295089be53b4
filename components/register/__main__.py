"""`python -m components.register`."""

import sys

from components.register import STEP
from components.step.command import main

sys.exit(main(STEP))
