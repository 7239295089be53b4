"""`python -m pipeline.cli` is `visage`."""

import sys

from pipeline.cli import main

sys.exit(main())
