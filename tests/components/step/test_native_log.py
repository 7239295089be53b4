"""Native libraries' log lines do not reach a person's terminal; all else does. Each test is a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]

USES_XLA = """
import sys
from pipeline.cli import main
main()  # a command that imports nothing; what it sets up holds for the whole process
import tensorflow as tf
tf.function(lambda x: x * x + 1, jit_compile=True)(tf.ones(3))
print("done", file=sys.stderr)
"""


def errors_of(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=500, check=False
    )


def test_tensorflow_starts_without_a_word():
    assert errors_of(USES_XLA, "recipes").stderr == "done\n"


def test_with_debug_its_lines_come():
    output = errors_of(USES_XLA, "--debug", "recipes").stderr
    assert re.search(r"^[IWE]\d{4} .*\.cc:\d+\]", output, re.MULTILINE), output


def test_log_lines_go_and_all_else_comes():
    code = """
import os, sys
from components.step import native_log
native_log.hide()
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
os.write(2, b"I0000 00:00:1795695072.974822    4575 service.cc:145] XLA service initialized\\n")
os.write(2, b"E1126 12:05:01.974822    4575 cuda_driver.cc:282] failed call to cuInit\\n")
os.write(2, b"2026-11-26 12:05:01.123456: W tensorflow/core/cpu_feature_guard.cc:210] optimized\\n")
os.write(2, b"F0000 00:00:1795695072.974822    4575 tensor.cc:8] Check failed\\n")
os.system("echo from a child >&2; echo 'W0000 00:00:1795695072.974822 45 a.cc:1] from a child' >&2")
print("from Python", file=sys.stderr)
os.write(2, b"without an end")
"""
    output = errors_of(code).stderr
    assert output.startswith("from Python\n") or "\nfrom Python\n" in output
    assert output.replace("from Python\n", "") == (
        "F0000 00:00:1795695072.974822    4575 tensor.cc:8] Check failed\nfrom a child\nwithout an end"
    )


def test_the_last_words_of_a_crash_come():
    code = """
import os
from components.step import native_log
native_log.hide()
os.write(2, b"terminate called after throwing an instance of std::bad_alloc\\n")
os.abort()
"""
    ended = errors_of(code)
    assert ended.returncode < 0
    assert ended.stderr == "terminate called after throwing an instance of std::bad_alloc\n"


def test_a_process_without_standard_error_starts():
    code = "from components.step import native_log; native_log.hide(); print('done')"
    ended = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, code],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "done\n"
