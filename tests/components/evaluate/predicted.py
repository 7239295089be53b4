"""Tables of predictions for tests: what is not named is unknown."""

import numpy as np
import pandas as pd

from components.evaluate.predictions import SCHEMA


def table(**columns) -> pd.DataFrame:
    """Predictions with these columns; the others are unknown, and every face is of a person of its own."""
    rows = len(next(iter(columns.values())))
    unknown = {name: [None] * rows for name in SCHEMA.names if SCHEMA.field(name).type == "string"}
    numbers = {name: [np.nan] * rows for name in SCHEMA.names if name not in unknown}
    return pd.DataFrame({**unknown, **numbers, "person": [f"p{row}" for row in range(rows)], **columns})
