"""`python -m components.register`."""

import sys

from components.alone import main
from components.register import STEP

sys.exit(main(STEP))
