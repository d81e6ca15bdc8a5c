# shellcheck shell=bash
# Stage risk: the model that would otherwise translate is trained further, for RISK_UPDATE updates with minimum risk
# (Shen et al. 2016), on the corpus itself, as a training run of its own in RISK_DIR.

stage_risk() {
    if ((!RISK_UPDATE)); then
        say "nothing to do: RISK_UPDATE=0"
        return 0
    fi
    ! has_checkpoint || return 0
    ((NODES == 1)) || die "NODES=$NODES: run the stage risk on one machine, without NODES"
    choose_trained
    need "$MODEL" "$NEEDED"
    [[ ! -e $RISK_DIR/settings || ! $MODEL -nt $RISK_DIR/settings ]] || # written when it began
        die "$RISK_DIR began with an older model than $MODEL: remove that folder"
    train_on "$MODEL"
}

# train_on MODEL: stage_train sees these values of the variables.
# shellcheck disable=SC2034
train_on() {
    local RUN_DIR=$RISK_DIR TRAIN_BIN=$BIN DIVERSIFY=0 CRITERION=minimum_risk LR=$RISK_LR SCHEDULE=polynomial_decay
    local WARMUP=0 MAX_UPDATE=$RISK_UPDATE MAX_EPOCH=0 PATIENCE=-1 TRAIN_MINUTES=0 SAVE_UPDATES=0 AVERAGE_BY=last
    local EXTRA=("${EXTRA[@]}" --finetune-from-model "$1" --risk-post-process subword_nmt --no-epoch-checkpoints)
    stage_train
}
