"""`make env` on machines of every kind: which Python it takes, and what it says is missing.

The script runs as it is, on a PATH of stand-ins: Pythons that answer as the real ones would and note what they are told.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TOOLS = ("sh", "cut", "sed", "sort", "cat", "mkdir", "chmod")


@dataclass
class Machine:
    """A PATH with a C library, a compiler and Pythons, and the environment script to run on it."""

    folder: Path
    glibc: str = "2.39"
    system: str = "Linux x86_64"
    compiler: bool = True
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.journal = self.folder / "journal"
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.tool("uname", f"echo {self.system}")
        self.tool("getconf", f"echo glibc {self.glibc}" if self.glibc else "exit 1")
        if self.compiler:
            for name in ("cc", "c++"):
                self.tool(name, "cat > /dev/null")

    def tool(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def python(self, name: str, version: str, headers: bool = True, venv: bool = True) -> None:
        include = self.folder / f"include{version}"
        include.mkdir(exist_ok=True)
        if headers:
            (include / "Python.h").touch()
        self.tool(
            name,
            f"""
case "$2" in
venv) echo "{name} $*" >> {self.journal}; mkdir -p "$4/bin"; cat "$0" > "$4/bin/python"; chmod +x "$4/bin/python" ;;
pip | compileall) echo "python $*" >> {self.journal} ;;
*) echo {version} {include} {"venv" if venv else "no-venv"} cc c++ ;;
esac""",
        )

    def uv(self, *paths: str) -> None:
        """Have uv, which finds the Pythons of the PATH of these names and could fetch others."""
        cases = "\n".join(f"*{path.removeprefix('python')}) echo {self.bin / path} ;;" for path in paths)
        self.tool(
            "uv",
            f"""
case "$1 $2" in
"python find") case "$*" in
{cases}
*) exit 1 ;;
esac ;;
venv*) echo "uv $*" >> {self.journal}; mkdir -p "$4/bin"; echo '#!/bin/sh' > "$4/bin/python"; chmod +x "$4/bin/python" ;;
*) echo "uv $*" >> {self.journal} ;;
esac""",
        )

    def make_environment(self) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / "sh"), str(PROJECT / "infra" / "environment.sh"), str(self.folder / "venv"), "test"]
        return subprocess.run(
            command, env={"PATH": str(self.bin), **self.environment}, capture_output=True, text=True, check=False
        )

    def steps(self) -> list[str]:
        return self.journal.read_text().splitlines() if self.journal.exists() else []


@pytest.mark.parametrize(
    ("glibc", "chosen", "why"),
    [
        ("2.39", "3.13", "glibc 2.39 has wheels for Python 3.11 to 3.13"),
        ("2.41", "3.13", "glibc 2.41 has wheels"),
        ("2.100", "3.13", "glibc 2.100 has wheels"),
        ("2.36", "3.11", "wheels for Python 3.12 and later ask for glibc 2.39, and this machine has 2.36"),
        ("2.9", "3.11", "this machine has 2.9"),
    ],
)
def test_the_newest_python_that_this_glibc_has_wheels_for_is_taken_and_said(tmp_path, glibc, chosen, why):
    machine = Machine(tmp_path, glibc=glibc)
    for version in ("3.11", "3.12", "3.13", "3.14"):
        machine.python(f"python{version}", version)
    result = machine.make_environment()
    assert result.returncode == 0, result.stderr
    assert f"Python {chosen} and pip" in result.stdout
    assert why in result.stdout
    assert machine.steps()[0].startswith(f"python{chosen} -m venv")


def test_pip_leaves_compiling_to_all_cores_afterwards(tmp_path):
    machine = Machine(tmp_path)
    machine.python("python3.12", "3.12")
    assert machine.make_environment().returncode == 0
    _, installed, compiled, own = machine.steps()
    assert " --no-compile " in installed
    assert compiled == f"python -m compileall -qq -j 0 {tmp_path}/venv/lib"
    assert own.startswith("python -m compileall -q pipeline ")


def test_a_python_is_known_by_its_version_and_not_by_its_name(tmp_path):
    machine = Machine(tmp_path)
    machine.python("python3", "3.12")
    assert "Python 3.12 and pip" in machine.make_environment().stdout


def test_a_complete_older_python_is_taken_where_the_newest_lacks_something(tmp_path):
    machine = Machine(tmp_path)
    machine.python("python3.13", "3.13", headers=False)
    machine.python("python3.11", "3.11")
    assert "Python 3.11 and pip" in machine.make_environment().stdout


def test_all_that_is_missing_is_told_at_once_and_nothing_is_installed(tmp_path):
    machine = Machine(tmp_path, compiler=False)
    machine.python("python3", "3.13", headers=False, venv=False)
    result = machine.make_environment()
    assert result.returncode == 2
    missing = result.stderr.split("Missing:\n")[1].split("Any of these")[0].splitlines()
    assert [line.split(",")[0].split(" (")[0].strip() for line in missing] == [
        "a C++ compiler",
        "the headers of Python 3.13",
        "the venv module of Python 3.13",
    ]
    assert "apt-get install g++ python3-dev python3-venv" in result.stderr
    assert machine.steps() == []


@pytest.mark.parametrize(
    ("lacking", "message"),
    [("headers", "Python.h"), ("venv", "venv module"), ("compiler", "C++ compiler")],
)
def test_each_missing_piece_is_told(tmp_path, lacking, message):
    machine = Machine(tmp_path, compiler=lacking != "compiler")
    machine.python("python3.12", "3.12", headers=lacking != "headers", venv=lacking != "venv")
    result = machine.make_environment()
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.split("Missing:\n")[1].split("Any of these")[0].splitlines()) == 1


def test_a_compiler_without_its_library_counts_as_missing(tmp_path):
    machine = Machine(tmp_path)
    machine.tool("c++", "exit 1")
    machine.python("python3.12", "3.12")
    assert "C++ compiler" in machine.make_environment().stderr


def test_the_pythons_that_do_not_fit_are_named(tmp_path):
    machine = Machine(tmp_path, glibc="2.36", compiler=False)
    machine.python("python3", "3.13")
    result = machine.make_environment()
    assert result.returncode == 2
    assert "Python 3.11 with its headers and its venv module (here: 3.13)" in result.stderr
    assert "this machine has 2.36" in result.stderr
    assert "C++ compiler" in result.stderr


def test_a_machine_without_any_python_is_told_so(tmp_path):
    result = Machine(tmp_path).make_environment()
    assert result.returncode == 2
    assert "(here: no Python at all)" in result.stderr


@pytest.mark.parametrize(
    ("machine", "message"),
    [({"system": "Linux aarch64"}, "Linux aarch64"), ({"system": "Darwin arm64"}, "Darwin"), ({"glibc": ""}, "Alpine")],
)
def test_a_machine_that_has_no_wheels_is_told_so(tmp_path, machine, message):
    result = Machine(tmp_path, **machine).make_environment()
    assert result.returncode == 2
    assert message in result.stderr


def test_uv_installs_where_it_is_there_with_a_python_it_finds(tmp_path):
    machine = Machine(tmp_path)
    machine.python("python3.12", "3.12", venv=False)
    machine.uv("python3.12")
    result = machine.make_environment()
    assert result.returncode == 0, result.stderr
    assert "Python 3.12 and uv" in result.stdout
    assert machine.steps()[0].endswith(f"--python {machine.bin / 'python3.12'}")
    assert "--compile-bytecode" in machine.steps()[1]


@pytest.mark.parametrize("glibc, brought", [("2.39", "3.13"), ("2.36", "3.11")])
def test_uv_brings_a_python_where_none_is_complete(tmp_path, glibc, brought):
    machine = Machine(tmp_path, glibc=glibc)
    machine.python("python3.11", "3.11", headers=False)
    machine.uv("python3.11")
    result = machine.make_environment()
    assert result.returncode == 0, result.stderr
    assert machine.steps()[0].endswith(f"--python {brought} --python-preference only-managed")


def test_uv_does_not_bring_a_compiler(tmp_path):
    machine = Machine(tmp_path, compiler=False)
    machine.uv()
    result = machine.make_environment()
    assert result.returncode == 2
    assert "C++ compiler" in result.stderr
    assert machine.steps() == []


def test_a_real_python_describes_itself(tmp_path):
    """The stand-ins answer in the place of a few lines of Python; here a real one runs those lines."""
    machine = Machine(tmp_path, compiler=False)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (machine.bin / f"python{version}").symlink_to(os.path.realpath(sys.executable))
    machine.environment = {"CC": "no-such-cc -O2", "CXX": "no-such-c++"}
    result = machine.make_environment()
    assert result.returncode == 2
    assert "(no-such-cc and no-such-c++)" in result.stderr
    assert "here:" not in result.stderr
