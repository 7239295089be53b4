"""`python -m components.validate`."""

import sys

from components.step.command import main
from components.validate import STEP

sys.exit(main(STEP))
