#!/usr/bin/env bash
# Sets everything up (see install.sh) and runs all tests, on up to four cores; arguments go to pytest:
# bash tests/run.sh -k alignment
set -euo pipefail
unset CDPATH # cd would go by it, and print
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash install.sh
export VIRTUAL_ENV="${VIRTUAL_ENV:-$PWD/.venv}"
export PATH="$VIRTUAL_ENV/bin:$PATH"
python -m pytest tests --numprocesses auto --maxprocesses 4 --dist worksteal "$@"
