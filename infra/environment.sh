#!/bin/sh
# Make the Python environment: environment.sh FOLDER EXTRAS
#
# uv makes it where uv is installed (and fetches Python 3.11 itself); else a Python 3.11 on the PATH does, with pip.
# Bytecode is compiled now: without it the first import of TensorFlow takes ten seconds instead of four.
set -eu
folder=$1
extras=$2

is_311() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; }

if command -v uv >/dev/null 2>&1; then
    echo "Making $folder with uv ..."
    uv venv --quiet --clear --python 3.11 "$folder"
    uv pip install --quiet --compile-bytecode --python "$folder/bin/python" -c requirements.lock -e ".[$extras]"
else
    python=
    for candidate in python3.11 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && is_311 "$candidate"; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        cat >&2 <<'MESSAGE'
Visage needs Python 3.11 (tensorflow-data-validation has no wheels for newer ones), with its venv module, and found none.
Any of these brings it:
  uv        https://docs.astral.sh/uv/ - then run the same command again: uv fetches Python 3.11 itself
  pyenv     pyenv install 3.11 && pyenv local 3.11
  conda     conda create -n visage python=3.11 && conda activate visage
  Debian    apt-get install python3.11 python3.11-venv   (Debian 12; on Ubuntu from the deadsnakes archive)
MESSAGE
        exit 2
    fi
    echo "Making $folder with $python and pip: about 4 GB, some minutes ..."
    "$python" -m venv --clear "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[$extras]"
fi
"$folder/bin/python" -m compileall -q pipeline components schemas
