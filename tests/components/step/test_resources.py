"""Cores and memory by the limits of a container."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from components.step.resources import cores, free_memory

PROJECT = Path(__file__).parents[3]
GB = 1 << 30
MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))


@pytest.fixture
def machine(tmp_path):
    """Writes files as the kernel shows them; gives the root that holds them."""

    def write(**files: str):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_without_limits_the_machine_counts(tmp_path, machine):
    assert cores(tmp_path) == len(os.sched_getaffinity(0))
    unlimited = machine(
        proc__self__cgroup="0::/\n", sys__fs__cgroup__memory_dot_max="max\n", sys__fs__cgroup__memory_dot_current="5\n"
    )
    assert free_memory(unlimited) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_pod_has_what_its_limits_leave(machine):
    pod = machine(
        proc__self__cgroup="0::/\n",
        sys__fs__cgroup__cpu_dot_max="50000 100000\n",
        sys__fs__cgroup__memory_dot_max=f"{GB}\n",
        sys__fs__cgroup__memory_dot_current=f"{GB // 2}\n",
        sys__fs__cgroup__memory_dot_stat=f"anon 17\ninactive_file {GB // 4}\n",
    )
    assert cores(pod) == 1
    assert free_memory(pod) == GB * 3 // 4


def test_the_lowest_limit_of_all_groups_around_counts(machine):
    nested = machine(
        proc__self__cgroup="0::/kubepods/pod1/box\n",
        sys__fs__cgroup__kubepods__pod1__memory_dot_max=f"{GB // 8}\n",
        sys__fs__cgroup__kubepods__pod1__memory_dot_current="0\n",
        sys__fs__cgroup__kubepods__pod1__box__memory_dot_max="max\n",
        sys__fs__cgroup__kubepods__pod1__box__memory_dot_current="0\n",
    )
    assert free_memory(nested) == GB // 8


def test_version_1_of_the_kernels_interface_is_read_too(machine):
    old = machine(
        proc__self__cgroup="4:memory:/box\n3:cpu,cpuacct:/box\n",
        sys__fs__cgroup__cpu__box__cpu_dot_cfs_quota_us="100000\n",
        sys__fs__cgroup__cpu__box__cpu_dot_cfs_period_us="100000\n",
        sys__fs__cgroup__memory__box__memory_dot_limit_in_bytes=f"{GB // 2}\n",
        sys__fs__cgroup__memory__box__memory_dot_usage_in_bytes=f"{GB // 4}\n",
    )
    assert cores(old) == 1
    assert free_memory(old) == GB // 4


def test_a_process_in_a_real_group_with_a_limit_is_told_it():
    group = next((mount / "visage-test" for mount in MOUNTS if os.access(mount / "cgroup.procs", os.W_OK)), None)
    limit = "memory.max" if group and group.parent == MOUNTS[0] else "memory.limit_in_bytes"
    try:
        assert group is not None
        group.mkdir()
        (group / limit).write_text(str(GB))
    except (AssertionError, OSError):
        pytest.skip("no control group can be made here")
    program = "from components.step.resources import free_memory; print(free_memory())"
    try:
        joins = (
            f"echo $$ > {shlex.quote(str(group / 'cgroup.procs'))} && exec {shlex.quote(sys.executable)} -c '{program}'"
        )
        output = subprocess.run(["sh", "-c", joins], capture_output=True, text=True, check=True, cwd=PROJECT).stdout
    finally:
        group.rmdir()
    assert GB // 2 < int(output) < GB


def test_a_group_that_took_more_than_it_may_has_nothing_left(machine):
    full = machine(
        proc__self__cgroup="0::/\n",
        sys__fs__cgroup__memory_dot_max="100\n",
        sys__fs__cgroup__memory_dot_current="200\n",
    )
    assert free_memory(full) == 0
