# shellcheck shell=bash
# Stage diversify: data diversification (Nguyen et al. 2020). DIVERSIFY models of each direction, trained as any other
# run of the recipe, translate their side of the training text; the pairs they make join those of the corpus.

stage_diversify() {
    local seed text=$DIVERSE/text
    if ((!DIVERSIFY)); then
        say "nothing to do: DIVERSIFY=0"
        return 0
    fi
    ! has_checkpoint || return 0
    ((NODES == 1)) || die "NODES=$NODES: run the stage diversify on one machine first, without NODES"
    need "$BIN/dict.$TGT.txt" binarize
    settle "$DIVERSE/settings" "$(prepare_settings && settings JOINED TEACHER TEACHER_UPDATE DIVERSIFY &&
        text_of_bin)"
    ! diverse_data_is_there || return 0
    TRANSLATED=()
    for ((seed = 1; seed <= DIVERSIFY; seed++)); do
        teach "${LANGS[0]}" "${LANGS[1]}" "$seed"
        teach "${LANGS[1]}" "${LANGS[0]}" "$seed"
    done
    need_space "$PREPARE_MB"
    lock "$DIVERSE/.lock"
    ! diverse_data_is_there || return 0 # made by the run that held the lock
    step "$text/train.$SRC" "$text/train.$TGT" -- "$PYTHON" "$LIB/diversify.py" --langs "${LANGS[@]}" \
        --from "$PREP/bpe/train" --to "$text/train" "${TRANSLATED[@]}"
    binarize_diverse "$text"
}

diverse_data_is_there() {
    [[ -e $DIVERSE/bin ]] && say "already there: $DIVERSE/bin"
}

# teach SOURCE TARGET SEED: a model of that direction, and its translation of the training text, for TRANSLATED.
# The stages called from here see these values of the variables, all that set_paths sets among them.
# shellcheck disable=SC2034
teach() {
    local SRC=$1 TGT=$2 SEED=$3 ARCH=$TEACHER MAX_UPDATE=$TEACHER_UPDATE DIVERSIFY=0 RISK_UPDATE=$TEACHER_RISK_UPDATE
    local CHECKPOINT="" BEAM=5 LENPEN=1 RUN="" RUN_DIR RISK_DIR TRAIN_BIN DIVERSE EXTRA=()
    set_paths
    run_stage train
    run_stage average
    ((!RISK_UPDATE)) || run_stage risk
    run_stage translate_training_text
    TRANSLATED+=(--translated "$SRC" "$TGT" "$RESULTS/train.txt")
    open_log "$LOGS" diversify
}

stage_translate_training_text() {
    choose_model
    translate train=train
}

# The dictionaries stay those of the corpus, so that models of either data understand each other.
binarize_diverse() {
    ((DRY_RUN)) || rm -rf "$DIVERSE/bin.tmp"
    run fairseq-preprocess --source-lang "${LANGS[0]}" --target-lang "${LANGS[1]}" --trainpref "$1/train" \
        --validpref "$PREP/bpe/valid" --srcdict "$BIN/dict.${LANGS[0]}.txt" --tgtdict "$BIN/dict.${LANGS[1]}.txt" \
        --destdir "$DIVERSE/bin.tmp" --workers "$WORKERS"
    if ((!DRY_RUN)); then
        [[ -e $DIVERSE/bin.tmp/dict.$TGT.txt ]] || die "fairseq-preprocess left no dict.$TGT.txt; see $LOG"
        mv "$DIVERSE/bin.tmp" "$DIVERSE/bin"
    fi
}
