"""`python -m components.evaluate`."""

import sys

from components.alone import main
from components.evaluate import STEP

sys.exit(main(STEP))
