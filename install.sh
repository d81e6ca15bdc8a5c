#!/usr/bin/env bash
# Sets up PyTorch, fairseq and this package, in the virtual environment that is active, or else in .venv.
# (An environment of conda's counts when it is named: VIRTUAL_ENV=$CONDA_PREFIX ./install.sh)
#
#   ./install.sh                 editable, with the extras for tests and plots
#   ./install.sh --no-editable   a copy in the environment, independent of this folder
#
# Variables: PYTHON  interpreter that creates .venv (default: python3)
#            TORCH   what to install if no PyTorch is there yet, with pip's options if need be (default:
#                    torch==2.13.0, on Python 3.15 torch==2.15.0, the first for it); a PyTorch that is there is kept,
#                    whether built for the CPU or for CUDA
#
# The first run compiles fairseq, which takes some minutes; later runs see that nothing changed and end at once.
set -euo pipefail
unset CDPATH # cd would go by it, and print
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

editable=(--editable)
case "${1-}" in
    "") ;;
    --no-editable) editable=() ;;
    -h | --help) exec sed -n '2,/^set/s/^# \{0,1\}//p' install.sh ;;
    *) fail "unknown argument '$1'; the only one is --no-editable" ;;
esac

if [[ -n ${VIRTUAL_ENV-} ]]; then
    environment=$VIRTUAL_ENV
else
    environment=$PWD/.venv
    [[ -x $environment/bin/python ]] || "${PYTHON:-python3}" -m venv "$environment"
fi
python=$environment/bin/python
pip=("$python" -m pip)

stamp=$environment/.rnn_s2s_plugin.installed
wanted="$PWD ${editable[*]-} $(cat setup.py pyproject.toml install.sh rnn_s2s_plugin/compat/startup/*.p* | cksum)"
if [[ -f $stamp && $(<"$stamp") == "$wanted" ]]; then
    exit 0
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "Python 3.10 or newer is needed; name one with PYTHON=..., and remove $environment first"
has() { "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$1') is None)"; }
has fairseq || command -v "${CXX:-c++}" >/dev/null ||
    fail "a C++ compiler is needed to build fairseq (on Debian and Ubuntu: apt-get install g++)"

echo "install.sh: setting up $environment; the first time this takes some minutes"
"${pip[@]}" --version &>/dev/null || "$python" -m ensurepip # some tools create environments without pip
"${pip[@]}" install --upgrade pip
if ! has torch; then
    default=torch==2.13.0
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 15))' && default=torch==2.15.0
    read -r -a torch <<<"${TORCH:-$default}"
    "${pip[@]}" install "${torch[@]}"
fi
"${pip[@]}" install numpy cython setuptools wheel ninja

# Without build isolation fairseq is compiled with the PyTorch installed above instead of a second one, and
# with the constraint nothing that fairseq asks for can replace that PyTorch by another build.
constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
"$python" -c 'from importlib.metadata import version; print("torch==" + version("torch"))' >"$constraints"
"${pip[@]}" install --constraint "$constraints" --no-build-isolation ${editable[@]+"${editable[@]}"} ".[test,plot]"

printf '%s\n' "$wanted" >"$stamp"
echo "install.sh: done; now: source '$environment/bin/activate'"
