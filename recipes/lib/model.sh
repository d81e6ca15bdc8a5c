# shellcheck shell=bash
# Stages train, average, generate, score: from fairseq's binary data to results.

# Number of devices to train on (0: CPU) and the precision that suits them: DEVICES and MODE, asked for once.
detect_devices() {
    local found=0 best=fp32
    [[ -z $DEVICES ]] || return 0
    DEVICES=0 MODE=$PRECISION
    if [[ $GPUS != 0 ]]; then # asking takes the time to import torch
        read -r found best < <("$PYTHON" "$LIB/devices.py") || die "PYTHON=$PYTHON cannot import torch"
        DEVICES=$GPUS
        [[ $GPUS != auto ]] || DEVICES=$found
        ((DEVICES <= found)) || die "GPUS=$GPUS, but this machine has $found"
    fi
    # Products in bfloat16 where a processor has them: training is 1.5 times as fast.
    ((DEVICES)) || ! grep -qwsE 'avx512_bf16|amx_bf16' /proc/cpuinfo || best=amp
    [[ $MODE != auto ]] || MODE=$best
}

# Devices that are not there are noticed before the first stage.
check_devices() {
    local stage
    ((!DRY_RUN)) || return 0
    for stage in diversify train risk; do
        contains "$stage" "${WANTED[@]}" || continue
        detect_devices
        ((DEVICES)) || [[ $MODE != fp16 ]] || die "PRECISION=fp16 needs a GPU: leave PRECISION out on a CPU"
        return
    done
}

# What is to be trained must be known to fairseq: asked before the first stage, as a download or hours of preparation
# may come before the training. It takes seconds to ask, so not in a dry run, and not for stages that train nothing.
check_architectures() {
    local names=()
    ! contains train "${WANTED[@]}" || names+=("ARCH=$ARCH")
    ((!DIVERSIFY)) || ! contains diversify "${WANTED[@]}" || names+=("TEACHER=$TEACHER")
    ((!DRY_RUN && ${#names[@]})) || return 0
    "$PYTHON" "$LIB/architectures.py" --user-dir "$USER_DIR" "${names[@]}" || exit 1
}

# The same number of tokens per update on any number of devices: MAX_TOKENS is what one device takes at once,
# what is missing from GLOBAL_TOKENS is accumulated over UPDATE_FREQ batches. Sets UPDATE_FREQ and DEVICE_TOKENS.
derive_batch() {
    local devices=$((NODES * (DEVICES ? DEVICES : 1))) share
    share=$(((GLOBAL_TOKENS + devices - 1) / devices))
    UPDATE_FREQ=$(((share + MAX_TOKENS - 1) / MAX_TOKENS))
    DEVICE_TOKENS=$(((share + UPDATE_FREQ - 1) / UPDATE_FREQ))
}

# What every fairseq command is told about the models and the data in a folder: the array COMMON.
common_options() {
    COMMON=("$1" --source-lang "$SRC" --target-lang "$TGT" --seed "$SEED")
    [[ $USER_DIR == none ]] || COMMON+=(--user-dir "$USER_DIR")
}

# Options of fairseq-train that do not follow from the corpus: the array OPTIONS.
train_options() {
    OPTIONS=(--arch "$ARCH" --criterion "$CRITERION" --label-smoothing "$SMOOTHING"
        --optimizer adam --adam-betas "(0.9, 0.98)" --lr "$LR" --lr-scheduler "$SCHEDULE"
        --warmup-updates "$WARMUP" --clip-norm "$CLIP"
        --max-tokens "$DEVICE_TOKENS" --update-freq "$UPDATE_FREQ"
        --max-epoch "$MAX_EPOCH" --max-update "$MAX_UPDATE" --patience "$PATIENCE"
        --stop-time-hours "$(awk -v minutes="$TRAIN_MINUTES" 'BEGIN {printf "%.5f", minutes / 60}')"
        --save-dir "$RUN_DIR" --keep-last-epochs "$KEEP" --log-format simple --log-interval 50)
    # The learning rate falls in a straight line, to nothing at the last update.
    [[ $SCHEDULE != polynomial_decay ]] || OPTIONS+=(--total-num-update "$MAX_UPDATE")
    ((!SAVE_UPDATES)) || OPTIONS+=(--save-interval-updates "$SAVE_UPDATES" --keep-interval-updates "$KEEP")
    [[ $AVERAGE_BY != best ]] || OPTIONS+=(--keep-best-checkpoints "$AVERAGE")
    ((DEVICES)) || OPTIONS+=(--cpu)
    distributed_options
    [[ $MODE == fp32 ]] || OPTIONS+=("--$MODE")
    OPTIONS+=("${EXTRA[@]}")
}

# Processes that train together: one per GPU of each node; on a CPU one per node.
distributed_options() {
    local processes=$((DEVICES ? DEVICES : 1))
    OPTIONS+=(--distributed-world-size "$((NODES * processes))")
    ((NODES > 1)) || return 0
    OPTIONS+=(--distributed-rank "$((NODE_RANK * processes))"
        --distributed-init-method "tcp://$MASTER_ADDR:$MASTER_PORT")
    ((DEVICES)) || OPTIONS+=(--distributed-no-spawn --distributed-backend gloo --ddp-backend legacy_ddp)
}

# Nothing is to be trained for a checkpoint that is there already.
has_checkpoint() { [[ -n $CHECKPOINT ]] && say "nothing to train: the checkpoint is $CHECKPOINT"; }

stage_train() {
    local goal
    ! has_checkpoint || return 0
    need "$TRAIN_BIN/dict.$TGT.txt" "$( ((DIVERSIFY)) && echo diversify || echo binarize)"
    settle "$RUN_DIR/settings" "$(settings ARCH SRC TGT SEED GLOBAL_TOKENS CRITERION LR SCHEDULE WARMUP SMOOTHING CLIP &&
        if ((DIVERSIFY)); then settings DIVERSIFY TEACHER; fi &&
        if ((DIVERSIFY && TEACHER_RISK_UPDATE)); then settings TEACHER_RISK_UPDATE; fi &&
        if [[ $SCHEDULE == polynomial_decay ]]; then settings MAX_UPDATE; fi && text_of_bin &&
        printf 'EXTRA=%s\n' "$(quoted "${EXTRA[@]//"$(dirname "$RUN_DIR")/"/}")")" # WORK may have been moved
    goal=$(settings MAX_EPOCH MAX_UPDATE PATIENCE TRAIN_MINUTES)
    ((NODE_RANK)) || lock "$RUN_DIR/.lock"
    if [[ -e $RUN_DIR/finished && $(<"$RUN_DIR/finished") == "$goal" ]]; then
        say "already there: $RUN_DIR, trained to its end"
        return 0
    fi
    need_space "$TRAIN_MB"
    # fairseq copies the checkpoint it has written to checkpoint_last.pt: a process killed then leaves half a file. With
    # the plugin copies are whole (compat/saving.py), so this mends runs without it (USER_DIR=none) and older ones.
    ((DRY_RUN || NODE_RANK)) || run "$PYTHON" "$LIB/mend_checkpoints.py" "$RUN_DIR"
    detect_devices
    derive_batch
    common_options "$TRAIN_BIN"
    train_options
    ((DRY_RUN || NODE_RANK)) || quoted fairseq-train "${COMMON[@]}" "${OPTIONS[@]}" >"$RUN_DIR/command"
    run fairseq-train "${COMMON[@]}" "${OPTIONS[@]}"
    ((!DRY_RUN && !NODE_RANK)) || return 0
    [[ -e $RUN_DIR/checkpoint_last.pt ]] || die "fairseq-train ended without a checkpoint in $RUN_DIR; see $LOG"
    printf '%s\n' "$goal" >"$RUN_DIR/finished.tmp"
    mv -f "$RUN_DIR/finished.tmp" "$RUN_DIR/finished"
}

# The checkpoint to translate with, MODEL: CHECKPOINT, else the one trained further by risk, else what train and
# average left. NEEDED is the stage that makes it, RESULTS the folder for what is made with it.
choose_model() {
    local name
    choose_trained
    name=$(basename "${CHECKPOINT:-$MODEL}" .pt)
    if [[ -n $CHECKPOINT ]]; then
        MODEL=$CHECKPOINT
    elif ((RISK_UPDATE)); then
        MODEL=$RISK_DIR/checkpoint_last.pt NEEDED=risk name=$(basename "$RISK_DIR")
    fi
    RESULTS=$RUN_DIR/$name.beam$BEAM.lenpen$LENPEN
}

# MODEL and NEEDED of the training alone: the average or, with AVERAGE=0, the best checkpoint by validation.
choose_trained() {
    MODEL=$RUN_DIR/checkpoint_best.pt NEEDED=train
    ((!AVERAGE)) || MODEL=$RUN_DIR/averaged_$AVERAGE_BY$AVERAGE.pt NEEDED=average
}

stage_average() {
    choose_trained
    if ((!AVERAGE)) || [[ -n $CHECKPOINT ]]; then
        say "nothing to average: the checkpoint is ${CHECKPOINT:-$MODEL}"
        return 0
    fi
    need "$RUN_DIR/checkpoint_last.pt" train
    lock "$RUN_DIR/.lock"
    if [[ -e $MODEL && ! $RUN_DIR/checkpoint_last.pt -nt $MODEL ]]; then
        say "already there: $MODEL"
        return 0
    fi
    need_space "$((TRAIN_MB / 10))"
    run "$PYTHON" "$LIB/average_checkpoints.py" "--$AVERAGE_BY" "$AVERAGE" --user-dir "$USER_DIR" --output "$MODEL" \
        "$RUN_DIR"
}

# Results belong to one checkpoint: another with the same file name is not taken for it.
settle_results() {
    local folder
    ((!DRY_RUN)) || return 0
    folder=$(cd -P "$(dirname "$MODEL")" 2>/dev/null && pwd) || folder=$(dirname "$MODEL")
    folder+=/
    folder=${folder#"$(cd -P "$RUN_DIR" && pwd)/"} # WORK may have been moved
    settle "$RESULTS/settings" "$(printf 'CHECKPOINT=%s\n' "$folder$(basename "$MODEL")" && text_of_bin)"
}

stage_generate() {
    local number=0 name jobs=()
    choose_model
    [[ $NEEDED != risk ]] || need "$RISK_DIR/finished" risk # results are those of all its updates
    for name in "${TESTS[@]}"; do
        jobs+=("$name=test${number/#0/}") # as fairseq-preprocess calls them: test, test1, test2, …
        number=$((number + 1))
    done
    translate "${jobs[@]}"
}

# translate NAME=SUBSET…: RESULTS/NAME.txt with what MODEL makes of a subset of the corpus, unless it is there.
translate() {
    local job name missing=() device=()
    need "$MODEL" "$NEEDED"
    make_folder "$RESULTS"
    settle_results
    lock "$RESULTS/.lock"
    for job; do
        name=${job%=*}
        if [[ -e $RESULTS/$name.txt && ! $MODEL -nt $RESULTS/$name.txt ]]; then
            say "already there: $RESULTS/$name.txt"
        else
            missing+=("$job")
        fi
    done
    ((${#missing[@]})) || return 0
    detect_devices
    ((DEVICES)) || device=(--cpu)
    common_options "$BIN"
    run "$PYTHON" "$LIB/generate.py" --to "$RESULTS" "${missing[@]}" -- "${COMMON[@]}" --path "$MODEL" \
        --beam "$BEAM" --lenpen "$LENPEN" --max-tokens "$GENERATE_TOKENS" "${device[@]}"
}

stage_score() {
    local name options=()
    choose_model
    for name in "${TESTS[@]}"; do
        need "$RESULTS/$name.txt" generate
        options+=(--test "$name" "$RESULTS/$name.txt" "$PREP/tok/$name.$TGT" "$PREP/raw/$name.$TGT")
    done
    settle_results
    lock "$RESULTS/.lock"
    [[ ,$STEPS, != *,lowercase,* ]] || options+=(--lowercase)
    ((!RAW_TOKENIZED)) || options+=(--raw-tokenized)
    run "$PYTHON" "$LIB/score.py" --lang "$TGT" "${options[@]}" --command "$COMMAND" --run "$RUN_DIR" \
        --output "$RESULTS/results.json"
}
