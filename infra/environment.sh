#!/bin/sh
# Make the Python environment: environment.sh FOLDER EXTRAS
#
# Takes the newest Python that TensorFlow Data Validation has wheels for on this machine: 3.13 or 3.12 where glibc is
# 2.39 or later (Ubuntu 24.04, Debian 13), else 3.11. uv installs where it is on the PATH (and brings a Python where
# none fits), else pip does. All that is missing is told at once, before anything is installed.
# Bytecode is compiled now: without it the first import of TensorFlow takes ten seconds instead of four. pip would compile
# on one core, package by package.
set -eu
folder=$1
extras=$2
newer_set_glibc=2.39

refuse() {
    printf '%s\n' "$@" >&2
    exit 2
}

# One line about a Python, "VERSION INCLUDE-FOLDER VENV CC CXX"; nothing when it does not start.
describe() {
    "$1" -c '
import importlib.util, os, sys, sysconfig
venv = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
compilers = [os.environ.get(name) or sysconfig.get_config_var(name) or "none" for name in ("CC", "CXX")]
print("%d.%d" % sys.version_info[:2], sysconfig.get_path("include"), "venv" if venv else "no-venv",
      *(compiler.split()[0] for compiler in compilers))
' 2>/dev/null || true
}

# pyfarmhash, which TFDV needs, comes as C++ source.
compiles() { printf '#include <string>\n' | "$1" -x c++ -fsyntax-only - >/dev/null 2>&1; }

case "$(uname -sm)" in
"Linux x86_64") ;;
*) refuse "Visage's libraries have wheels for Linux on x86_64 only; this is $(uname -sm)." ;;
esac
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d ' ' -f 2) || true
if [ -z "$glibc" ]; then
    refuse "Visage's libraries have wheels for glibc only, and this machine has another C library (Alpine Linux has)."
fi
if printf '%s\n' "$newer_set_glibc" "$glibc" | sort -VC; then
    versions="3.13 3.12 3.11"
    why="glibc $glibc has wheels for Python 3.11 to 3.13"
else
    versions=3.11
    why="wheels for Python 3.12 and later ask for glibc $newer_set_glibc, and this machine has $glibc"
fi
newest=${versions%% *}
if command -v uv >/dev/null 2>&1; then installer=uv; else installer=pip; fi

# Look at every Python here, the newest version first; take the first that has all it needs.
compiler="a C++ compiler, for pyfarmhash, a need of TFDV that comes as source"
python=
missing=
other_versions=
for version in $versions; do
    if [ $installer = uv ]; then
        candidates=$(uv python find --system --no-python-downloads "$version" 2>/dev/null || true)
    else
        candidates="python$version python3 python"
    fi
    for candidate in $candidates; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        # shellcheck disable=SC2046 # the words of the line are wanted
        set -- $(describe "$candidate")
        [ $# -eq 5 ] || continue
        if [ "$1" != "$version" ]; then
            case " $versions $other_versions " in *" $1 "*) ;; *) other_versions="$other_versions $1" ;; esac
            continue
        fi
        lacks=
        compiles "$4" && compiles "$5" || lacks="$lacks; $compiler ($4 and $5)"
        [ -f "$2/Python.h" ] || lacks="$lacks; the headers of Python $version (Python.h), for pyfarmhash too"
        [ $installer = uv ] || [ "$3" = venv ] || lacks="$lacks; the venv module of Python $version (venv and ensurepip)"
        if [ -z "$lacks" ]; then
            python=$candidate
            break 2
        fi
        [ -n "$missing" ] || missing=${lacks#; }
    done
done

if [ -z "$python" ]; then
    version=$newest
    if [ $installer = uv ]; then
        # uv brings a Python of its own, with its headers; it calls its compilers cc and c++.
        python="$newest --python-preference only-managed"
        missing=
        compiles cc && compiles c++ || missing="$compiler (cc and c++)"
    elif [ -z "$missing" ]; then
        missing="Python $newest with its headers and its venv module (here:${other_versions:- no Python at all})"
        compiles c++ || missing="$missing; $compiler (c++)"
    fi
    [ -z "$missing" ] || refuse "Visage cannot be installed yet: $why." \
        "Missing:" "$(printf '%s' "$missing" | sed 's/; /\n/g; s/^/  /')" \
        "Any of these brings it; then run the same command again:" \
        "  Debian 12 or 13, Ubuntu 24.04   apt-get install g++ python3-dev python3-venv" \
        "  conda                           conda create -n visage python=$newest gxx && conda activate visage" \
        "  uv                              https://docs.astral.sh/uv/ (brings a Python, not the compiler)"
fi

echo "Making $folder with Python $version and $installer ($why): about 4 GB, some minutes ..."
if [ $installer = uv ]; then
    # shellcheck disable=SC2086 # $python may bring an option
    uv venv --quiet --clear "$folder" --python $python
    uv pip install --quiet --compile-bytecode --python "$folder/bin/python" -c requirements.lock -e ".[$extras]"
else
    "$python" -m venv --clear "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -c requirements.lock -e ".[$extras]"
    # Some packages bring files that are Python of another version, or templates: they do not compile, and need not.
    "$folder/bin/python" -m compileall -qq -j 0 "$folder/lib" || true
fi
"$folder/bin/python" -m compileall -q pipeline components schemas
