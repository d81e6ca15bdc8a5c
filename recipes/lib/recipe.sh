# shellcheck shell=bash
# The shared library of the recipes: sourced by recipes/NAME/run.sh, which sources facts.sh, states the facts of its
# corpus as variables and two functions (see recipes/README.md, "Adding a recipe") and then calls `recipe_main "$@"`.

shopt -u patsub_replacement 2>/dev/null || true # a & in WORK stays one in ${names[@]/#/$WORK/}, since bash 5.2 too

LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$LIB/../.." && pwd)
RECIPE_SCRIPT=$RECIPE_DIR/run.sh
STAGES=(download prepare binarize diversify train average risk generate score)
# Variables that change what a run does; those set in the environment are part of the command a result is filed under.
VARIABLES=(SRC TGT ARCH SEED WORK RUN RAW_DIR MIRROR CHECKSUMS PYTHON USER_DIR WORKERS MERGES JOINED GPUS PRECISION
    NODES DIVERSIFY TEACHER TEACHER_UPDATE TEACHER_RISK_UPDATE GLOBAL_TOKENS MAX_TOKENS MAX_EPOCH MAX_UPDATE PATIENCE
    TRAIN_MINUTES CRITERION LR SCHEDULE WARMUP SMOOTHING CLIP SAVE_UPDATES KEEP AVERAGE AVERAGE_BY RISK_UPDATE RISK_LR
    CHECKPOINT BEAM LENPEN GENERATE_TOKENS FREE_MB)
DRY_RUN=0
LOG=
DEVICES=
EXTRA=()

# shellcheck source=common.sh
source "$LIB/common.sh"
# shellcheck source=data.sh
source "$LIB/data.sh"
# shellcheck source=diversify.sh
source "$LIB/diversify.sh"
# shellcheck source=model.sh
source "$LIB/model.sh"
# shellcheck source=risk.sh
source "$LIB/risk.sh"

usage() {
    cat <<END
usage: [VARIABLE=value …] bash ${RECIPE_SCRIPT#"$PWD"/} [--dry-run] [stage …] [-- option of fairseq-train …]

Stages, in this order (default: all of them): ${STAGES[*]}
Variables and what they do: recipes/README.md
END
}

# Read the command line into DRY_RUN, WANTED and EXTRA.
parse_arguments() {
    WANTED=()
    while (($#)); do
        case $1 in
            -h | --help) usage && exit 0 ;;
            -n | --dry-run) DRY_RUN=1 ;;
            --) shift && EXTRA=("$@") && break ;;
            -*) die "unknown option $1 (options of fairseq-train go after --)" ;;
            *)
                contains "$1" "${STAGES[@]}" || die "unknown stage $1: choose from ${STAGES[*]}"
                WANTED+=("$1")
                ;;
        esac
        shift
    done
    ((${#WANTED[@]})) || WANTED=("${STAGES[@]}")
}

# Facts that follow from others unless a recipe states them.
declare -p PAIRS >/dev/null 2>&1 || PAIRS=("${LANGS[0]}-${LANGS[1]}")
: "${TEST_STEPS:=$STEPS}"

# Defaults of whatever neither the user nor the recipe has set; then the paths that follow from them.
set_defaults() {
    [[ -n ${PYTHON:-}${VIRTUAL_ENV:-} || ! -x $REPO/.venv/bin/python ]] || PYTHON=$REPO/.venv/bin/python
    : "${SEED:=1}" "${ARCH:=rnn_attn}" "${WORK:=$RECIPE_DIR/work}" "${PYTHON:=python3}" "${WORKERS:=$(cpu_count)}"
    : "${USER_DIR:=$REPO/rnn_s2s_plugin}" "${JOINED:=1}" "${FREE_MB:=}"
    : "${CHECKSUMS:=$RECIPE_DIR/CHECKSUMS}" "${CHECKPOINT:=}" "${RUN:=}" "${DIVERSIFY:=0}" "${TEACHER:=$ARCH}"
    : "${GLOBAL_TOKENS:=4096}" "${MAX_TOKENS:=4096}" "${MAX_EPOCH:=0}" "${MAX_UPDATE:=0}" "${PATIENCE:=-1}"
    : "${TEACHER_UPDATE:=$MAX_UPDATE}" "${TEACHER_RISK_UPDATE:=0}" "${TRAIN_MINUTES:=0}"
    : "${CRITERION:=$([[ $USER_DIR == none ]] || echo fused_)label_smoothed_cross_entropy}"
    : "${LR:=0.001}" "${SCHEDULE:=polynomial_decay}" "${WARMUP:=400}" "${SMOOTHING:=0.1}" "${CLIP:=5}"
    : "${SAVE_UPDATES:=0}" "${KEEP:=10}" "${AVERAGE:=0}" "${AVERAGE_BY:=last}" "${RISK_UPDATE:=0}" "${RISK_LR:=0.0005}"
    : "${BEAM:=5}" "${LENPEN:=1}" "${GENERATE_TOKENS:=8000}"
    : "${NODES:=1}" "${NODE_RANK:=0}" "${MASTER_ADDR:=localhost}" "${MASTER_PORT:=29500}"
    : "${GPUS:=auto}" "${PRECISION:=auto}" "${RAW_DIR:=}" "${MIRROR:=}"
    check_values
    require_python
    export PYTHONWARNINGS=${PYTHONWARNINGS-ignore::UserWarning,ignore::FutureWarning} # hydra's fill the screen
    export TQDM_MININTERVAL=${TQDM_MININTERVAL-10}
    [[ $PYTHON != */* ]] || PATH=$(cd "$(dirname "$PYTHON")" && pwd):$PATH # fairseq's commands lie beside it
    [[ $WORK == /* ]] || WORK=$PWD/$WORK
    [[ $WORK != *[:,]* ]] || die "WORK=$WORK: fairseq's commands take a : or , in a path for its end, name another folder"
    [[ -z $RAW_DIR || $RAW_DIR == /* ]] || RAW_DIR=$PWD/$RAW_DIR
    RAW=$WORK/raw PREP=$WORK/prep BIN=$WORK/bin LOGS=$WORK/logs
    set_paths
}

# Folders that depend on the model: its run, that of minimum risk, and the data that it is trained on.
set_paths() {
    local data='' kind=$DIVERSIFY
    ((!TEACHER_RISK_UPDATE)) || kind+=.risk$TEACHER_RISK_UPDATE
    DIVERSE=$WORK/diverse/$TEACHER.$kind TRAIN_BIN=$BIN
    ((!DIVERSIFY)) || data=.diverse$kind TRAIN_BIN=$DIVERSE/bin
    : "${RUN:=$SRC-$TGT.$ARCH$data.seed$SEED}"
    RUN_DIR=$WORK/runs/$RUN
    RISK_DIR=$RUN_DIR/risk$RISK_UPDATE
}

check_values() {
    local name
    for name in SEED WORKERS MERGES GLOBAL_TOKENS MAX_TOKENS MAX_EPOCH MAX_UPDATE WARMUP SAVE_UPDATES NODES NODE_RANK \
        KEEP AVERAGE BEAM GENERATE_TOKENS DIVERSIFY TEACHER_UPDATE TEACHER_RISK_UPDATE RISK_UPDATE MASTER_PORT; do
        [[ ${!name} =~ ^(0|[1-9][0-9]*)$ ]] || die "$name=${!name} is not a whole number"
    done
    ((${#SEED} <= 10 && SEED < 2 ** 32)) || die "SEED=$SEED must be below 2^32, $((2 ** 32))"
    for name in LR RISK_LR SMOOTHING CLIP LENPEN; do
        [[ ${!name} =~ ^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$ ]] ||
            die "$name=${!name} is not a number: write it like 0.001 or 1e-3"
    done
    [[ $PATIENCE =~ ^(-1|0|[1-9][0-9]*)$ ]] || die "PATIENCE=$PATIENCE is neither a whole number nor -1, for no limit"
    [[ $JOINED == [01] ]] || die "JOINED=$JOINED: 1 for one vocabulary of both languages, 0 for two"
    [[ $AVERAGE_BY == last || $AVERAGE_BY == best ]] || die "AVERAGE_BY=$AVERAGE_BY: choose last or best"
    [[ $AVERAGE_BY == last ]] || ((AVERAGE)) || die "AVERAGE_BY=$AVERAGE_BY averages nothing with AVERAGE=0: give AVERAGE=5"
    contains "$PRECISION" auto fp32 fp16 bf16 amp || die "PRECISION=$PRECISION: choose auto, fp32, fp16, bf16 or amp"
    [[ $GPUS =~ ^(auto|0|[1-9][0-9]*)$ ]] || die "GPUS=$GPUS is neither a number nor auto"
    contains "$SCHEDULE" inverse_sqrt polynomial_decay fixed ||
        die "SCHEDULE=$SCHEDULE: choose inverse_sqrt, polynomial_decay or fixed"
    [[ $SCHEDULE != polynomial_decay || $MAX_UPDATE -gt $WARMUP ]] ||
        die "SCHEDULE=polynomial_decay ends at MAX_UPDATE=$MAX_UPDATE, which must be more than WARMUP=$WARMUP"
    [[ $SCHEDULE != polynomial_decay || $DIVERSIFY == 0 || $TEACHER_UPDATE -gt $WARMUP ]] ||
        die "SCHEDULE=polynomial_decay ends at TEACHER_UPDATE=$TEACHER_UPDATE, which must be more than WARMUP=$WARMUP"
    ((NODE_RANK < NODES)) || die "NODE_RANK=$NODE_RANK: the NODES=$NODES nodes are numbered from 0"
    for name in WORKERS GLOBAL_TOKENS MAX_TOKENS BEAM GENERATE_TOKENS; do
        [[ ${!name} -ge 1 ]] || die "$name=${!name} must be at least 1"
    done
    contains "$SRC-$TGT" "${PAIRS[@]}" || contains "$TGT-$SRC" "${PAIRS[@]}" ||
        die "SRC=$SRC, TGT=$TGT: this corpus has ${PAIRS[*]}, in both directions"
    for name in RISK_UPDATE TEACHER_RISK_UPDATE; do
        ((!${!name})) || [[ $USER_DIR != none ]] || die "$name=${!name} needs the plugin, USER_DIR=none is without"
    done
    ((!TEACHER_RISK_UPDATE || DIVERSIFY)) ||
        die "TEACHER_RISK_UPDATE=$TEACHER_RISK_UPDATE is without teachers: give DIVERSIFY"
    ((!RISK_UPDATE)) || ! contains risk "${WANTED[@]}" || ! contains --rdrop-alpha "${EXTRA[@]%%=*}" ||
        die "RISK_UPDATE=$RISK_UPDATE: minimum risk has no --rdrop-alpha; train with it and RISK_UPDATE=0 first, then" \
            "run the stages from risk on without it"
    [[ $FREE_MB =~ ^(|0|[1-9][0-9]*)$ ]] || die "FREE_MB=$FREE_MB is not a number of megabytes"
    [[ $TRAIN_MINUTES =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "TRAIN_MINUTES=$TRAIN_MINUTES is not a number of minutes"
    [[ $KEEP == 0 || $AVERAGE_BY == best || $KEEP -ge $AVERAGE ]] ||
        die "KEEP=$KEEP: at least AVERAGE=$AVERAGE checkpoints must be kept to be averaged"
    [[ $RUN != *[/:]* ]] || die "RUN=$RUN is the name of a folder under WORK/runs and holds no / and no :"
    [[ $CHECKPOINT != *:* ]] || die "CHECKPOINT=$CHECKPOINT: fairseq-generate takes a : in a path for its end, move it"
    [[ -z $CHECKPOINT || -f $CHECKPOINT || $DRY_RUN == 1 ]] || die "CHECKPOINT=$CHECKPOINT: there is no such file"
}

# Run the wanted stages in their order.
recipe_main() {
    local stage
    remember_command "$@"
    parse_arguments "$@"
    warn_of_misspelt_variables
    set_defaults
    check_architectures
    check_devices
    settle "$WORK/settings" "RECIPE=$(basename "$RECIPE_DIR")" # two corpora may have files of the same names
    for stage in "${STAGES[@]}"; do
        if contains "$stage" "${WANTED[@]}"; then
            [[ $NODE_RANK == 0 || $stage == train ]] || continue # the other nodes share WORK with node 0
            run_stage "$stage"
        fi
    done
}

run_stage() {
    local folder=$RUN_DIR name=$1
    ! contains "$1" "${STAGES[@]:0:4}" || folder=$LOGS # of the data
    [[ $1 != risk || $RISK_UPDATE == 0 ]] || name=$(basename "$RISK_DIR") # beside those of other numbers of updates
    open_log "$folder" "$name"
    "stage_$1"
    unlock
    close_log
}
