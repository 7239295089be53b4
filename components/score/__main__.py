"""`python -m components.score`."""

import sys

from components.alone import main
from components.score import STEP

sys.exit(main(STEP))
