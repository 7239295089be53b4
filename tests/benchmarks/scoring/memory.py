"""Memory of the job at its largest: it must not grow with what is scored."""

import argparse
import multiprocessing
import os
import tarfile
from pathlib import Path

import psutil

from tests.benchmarks.scoring.job import one_job
from tests.benchmarks.scoring.material import face_files


def figures(model: Path, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """MB of memory of the job at its largest: over few faces, over ten times as many, over an archive of 5 GB."""
    places = {
        "rss_10k": write_links(folder / "tenth", options.large // 10),
        "rss_100k": write_links(folder / "whole", options.large),
        "rss_5gb": write_large_tar(folder / "large.tar", 1000, 5_000_000),
    }
    return {name: peak(place, model, folder / "job", options.workers) for name, place in places.items()}


def peak(photos: Path, model: Path, output: Path, workers: int) -> float:
    process = multiprocessing.get_context("spawn").Process(target=one_job, args=(photos, model, output, workers, {}))
    process.start()
    most, watched = 0, psutil.Process(process.pid)
    while process.is_alive():
        most = max(most, tree(watched))
        process.join(0.05)
    if process.exitcode:
        raise SystemExit(f"the job over {photos} ended with {process.exitcode}")
    return most / 1e6


def tree(process: psutil.Process) -> int:
    """Bytes that a process and what it started hold in memory."""
    try:
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


def write_links(folder: Path, count: int) -> Path:
    """As many files as asked for, of which every face is one and the others links to it."""
    data = face_files()
    folder.mkdir()
    for number in range(count):
        first, file = folder / f"{number % len(data):06d}.jpg", folder / f"{number:06d}.jpg"
        if first == file:
            file.write_bytes(data[number])
        else:
            os.link(first, file)
    return folder


def write_large_tar(path: Path, count: int, size: int) -> Path:
    """A tar of faces, each filled up with zeros that take no room on disk."""
    data = face_files()
    with path.open("wb") as file:
        for number in range(count):
            member = tarfile.TarInfo(f"{number:06d}.jpg")
            member.size = size
            file.write(member.tobuf())
            file.write(data[number % len(data)])
            file.seek(-(-(file.tell() - len(data[number % len(data)]) + size) // 512) * 512)
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path
