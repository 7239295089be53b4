"""`python -m components.train`."""

import sys

from components.alone import main
from components.train import STEP

sys.exit(main(STEP))
