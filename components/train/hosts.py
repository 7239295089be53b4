"""Which of several hosts that train one model this process is; it imports nothing heavy, and `devices` does the rest."""

import json
import os

HOSTS = "VISAGE_TRAIN_HOSTS"
"""Environment variable: `NAME:PORT` of every host, with commas between, in the order of their numbers."""

JOB_INDEX = "JOB_COMPLETION_INDEX"
"""Environment variable that Kubernetes sets in every pod of an indexed Job: the pod's number, from 0."""


def number() -> int:
    """This host's number, from 0; 0 too where it trains alone, or where nobody can tell: `devices.strategy` complains then."""
    try:
        index = json.loads(os.environ.get("TF_CONFIG") or "{}").get("task", {}).get("index")
    except (ValueError, AttributeError):
        return 0
    if index is None and os.environ.get(HOSTS):
        index = os.environ.get(JOB_INDEX, "")
    text = str(index)
    return int(text) if text.isdecimal() else 0
