"""Cores and memory that this process may use: those of the machine, or of the container's limits where they are lower.

psutil tells the machine's. A pod that takes more memory than its cgroup has is killed, however much its node has free.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil


def cores(root: Path = Path("/")) -> int:
    """How many cores may be used at once: at least 1.

    Args:
        root: where /proc and /sys are.
    """
    quotas = [_quota(folder) for folder in _groups(root, "cpu")]
    return max(
        1, min(len(os.sched_getaffinity(0)), *(math.ceil(quota) for quota in quotas if quota is not None), 1 << 16)
    )


def free_memory(root: Path = Path("/")) -> int:
    """How many bytes of memory may still be taken.

    Args:
        root: where /proc and /sys are.
    """
    free = [_memory_left(folder) for folder in _groups(root, "memory")]
    return max(0, min(psutil.virtual_memory().available, *(size for size in free if size is not None), 1 << 60))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that this process is in, each within the next; of version 2 and of version 1.

    See the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1. In a container the own group is often the root
    of what is mounted, whatever /proc says its path is.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        own = Path(path.lstrip("/"))
        for mount in (controller, controllers) if controllers else ("", "unified"):
            yield from (root / "sys/fs/cgroup" / mount / within for within in (own, *own.parents))


def _quota(folder: Path) -> float | None:
    """Cores that a group may use; None where it has no limit."""
    both = _words(folder / "cpu.max") or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    if len(both) != 2 or both[0] in ("max", "-1"):
        return None
    return int(both[0]) / int(both[1])


def _memory_left(folder: Path) -> int | None:
    """Bytes that a group may still take, its file cache counted as free; None where it has no limit."""
    limit = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
    used = _words(folder / "memory.current") or _words(folder / "memory.usage_in_bytes")
    if not limit or not used or limit[0] == "max":
        return None
    lines = [line.split() for line in _text(folder / "memory.stat").splitlines()]
    cache = {name: int(size) for name, size in lines}.get("inactive_file", 0)
    return int(limit[0]) - int(used[0]) + cache


def _words(file: Path) -> list[str]:
    return _text(file).split()


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
