"""Keeps the log lines of native libraries off a person's terminal.

TensorFlow, XLA and gRPC write them straight to file descriptor 2, by absl, some before anything can set its level: no
environment variable reaches them all.
"""

import os
import re
import signal
import sys

_LOG_LINE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IWE]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ \S+:\d+\]"  # absl
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] \S+:\d+\]"  # TensorFlow
)


def hide() -> None:
    """Drop information, warnings and errors that native code logs from now on, in this process and its children.

    A process of its own sifts them out, so that all else that native code says, its last words in a crash among them, still
    comes. Python's own sys.stderr goes past it. What somebody must know of a library's errors, it raises as well.
    """
    if sys.stderr is None:  # the process was started without one
        return
    direct = os.dup(2)
    reader, writer = os.pipe()
    if os.fork() == 0:
        _sift(reader, direct)
    os.close(reader)
    os.dup2(writer, 2)
    os.close(writer)
    sys.stderr = os.fdopen(direct, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")


def _sift(reader: int, writer: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # it ends when nobody writes any more
        signal.signal(number, signal.SIG_IGN)
    os.closerange(0, min(reader, writer))
    os.closerange(min(reader, writer) + 1, max(reader, writer))
    os.closerange(max(reader, writer) + 1, 1024)
    try:
        with os.fdopen(reader, "rb") as lines, os.fdopen(writer, "wb", buffering=0) as out:
            for line in lines:
                if not _LOG_LINE.match(line):
                    out.write(line)
    finally:
        os._exit(0)
