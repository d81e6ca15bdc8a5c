# shellcheck shell=bash disable=SC2034
# Sourced by recipes/NAME/run.sh before it states the facts of its corpus: those that it need not state, which are thus
# not taken from the environment either. Written for old versions of bash, too, to tell them that they are too old.

[[ ${BASH_VERSINFO[0]} -gt 4 || (${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4) ]] || {
    echo "error: bash 4.4 or newer is needed, this is $BASH_VERSION" >&2
    exit 1
}
unset PAIRS TESTS LINES_OF UNPACK FILTER FILTER_BPE STEPS TEST_STEPS VALID_EVERY RAW_TOKENIZED
declare -A LINES_OF=()
UNPACK=() FILTER=() FILTER_BPE=() VALID_EVERY='' RAW_TOKENIZED=0
