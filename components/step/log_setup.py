"""The one logging set-up."""

import logging
import os
import sys
import warnings

from schemas.redaction import redact


class _Formatter(logging.Formatter):
    """Hides credentials, in tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def set_up(*, debug: bool = False) -> None:
    """Send log lines to standard error, with time and origin; keep the libraries' chatter down unless debugging."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    if debug:
        return
    for name in ("apache_beam", "tensorflow", "absl", "mlflow", "alembic", "matplotlib", "urllib3", "PIL", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_minloglevel", "2")
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
