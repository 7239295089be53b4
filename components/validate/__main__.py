"""`python -m components.validate`."""

import sys

from components.alone import main
from components.validate import STEP

sys.exit(main(STEP))
