#!/usr/bin/env bash
# Sets everything up (see install.sh) and runs all tests; arguments go to pytest: bash tests/run.sh -k alignment
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash install.sh
if [[ -z ${VIRTUAL_ENV-} && -z ${CONDA_PREFIX-} ]]; then
    # shellcheck source=/dev/null
    source .venv/bin/activate
fi
# The tests' tensors are too small to share between threads.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
python -m pytest tests "$@"
