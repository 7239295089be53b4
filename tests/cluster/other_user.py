"""Worker pools of another user, who sees nothing of the driver's folders: as the workers of a cluster do."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.go_servers import Server, serving

PROJECT = Path(__file__).parents[2]
NOBODY = 65534


def can_change_user() -> bool:
    """Whether this process may start others as another user."""
    return os.geteuid() == 0


@contextmanager
def worker_pool(folder: Path, environment: Mapping[str, str], port: int) -> Iterator[Server]:
    """A pool of Beam workers, in a folder and with a home of its own; where this is root, as the user nobody.

    Args:
        folder: for the pool's home and log; made if it is not there.
        environment: what the workers know beside where Python is: credentials of a store.
        port: that it listens to.
    """
    home = folder / "home"
    home.mkdir(parents=True)
    variables = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "TMPDIR": str(home),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    command = ["python", "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    command = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), *command]
    if can_change_user():
        os.chown(home, NOBODY, NOBODY)
        command = as_nobody(command, home)
    with serving(command, port, folder / "pool.log", within=120) as server:
        yield server


def as_nobody(command: list[str], home: Path) -> list[str]:
    """A command that runs another as the user nobody, in a folder of theirs.

    Where Python or the project lie in a folder that is closed to others, as below /root, they alone are shown there: in a
    mount namespace of the command's own, with an empty folder over the closed one.
    """
    visible = [Path(sys.base_prefix), Path(sys.prefix).resolve(), PROJECT, home]
    closed = sorted({above for path in visible for above in path.parents if not above.stat().st_mode & 0o001})
    outermost = [above for above in closed if not any(other in above.parents for other in closed)]
    lines = ["set -e"]
    for number, above in enumerate(outermost):
        visible_below = [path for path in visible if above in path.parents]
        keep = f"/mnt/visage-{number}"
        lines.append("mount -t tmpfs -o mode=755 tmpfs /mnt" if number == 0 else "")
        for index, path in enumerate(visible_below):
            lines.append(f"mkdir -p {keep}-{index}; mount --bind {shlex.quote(str(path))} {keep}-{index}")
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(above))}")
        for index, path in enumerate(visible_below):
            quoted = shlex.quote(str(path))
            lines.append(f"mkdir -p {quoted}; mount --bind {keep}-{index} {quoted}")
    lines.append(f"cd {shlex.quote(str(home))}")
    user = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    lines.append(f"exec {user} {shlex.join(command)}")
    return ["unshare", "--mount", "sh", "-c", "\n".join(filter(None, lines))]
