#!/bin/sh
# Makes the virtual environment named by the first argument, and installs what checks, tests and runs.
set -eu
venv=$1

suits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if suits "$candidate"; then echo "$candidate"; return; fi
    done
    echo "Boxoffice needs Python 3.11 to 3.14 with its venv module (on Debian: apt-get install python3-venv)," >&2
    echo "and found none. Name one with: make install PYTHON=/path/to/python3" >&2
    return 1
}

mkdir -p "$HOME"
suits "$venv/bin/python" || { python=$(find_python); "$python" -m venv --clear "$venv"; }
mkdir -p "$HOME"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
