# shellcheck shell=bash
# Stages download, prepare, binarize: from the corpus' files to fairseq's binary data.

stage_download() {
    local urls url missing=0 options=(--dest "$RAW")
    mapfile -t urls < <(corpus_urls)
    for url in "${urls[@]}"; do [[ -e $RAW/${url##*/} ]] || missing=1; done
    if ((!missing)); then
        say "already there: ${#urls[@]} files in $RAW"
        return 0
    fi
    need_space "$DOWNLOAD_MB"
    lock "$WORK/.data.lock"
    [[ -z $RAW_DIR ]] || options+=(--from "$RAW_DIR")
    [[ -z $MIRROR ]] || options+=(--mirror "$MIRROR")
    if [[ $SHA256SUMS != none && -e $SHA256SUMS ]]; then
        options+=(--sha256sums "$SHA256SUMS")
    elif [[ $SHA256SUMS != none && $SHA256SUMS != "$RECIPE_DIR/SHA256SUMS" ]]; then
        die "SHA256SUMS=$SHA256SUMS: no such file (none switches the check off)"
    fi
    run "$PYTHON" "$LIB/fetch.py" "${options[@]}" "${urls[@]}"
    unlock
}


stage_prepare() {
    local lang split url splits=(train "${TESTS[@]}") finished=1
    [[ -n ${VALID_EVERY:-} ]] || splits+=(valid)
    settle "$PREP/settings" "$(prepare_settings)"
    for split in train valid "${TESTS[@]}"; do
        for lang in "${LANGS[@]}"; do [[ -e $PREP/bpe/$split.$lang ]] || finished=0; done
    done
    if ((finished)); then
        say "already there: $PREP/bpe"
        return 0
    fi
    while read -r url; do need "$RAW/${url##*/}" download; done < <(corpus_urls)
    need_space "$PREPARE_MB"
    lock "$WORK/.data.lock"
    corpus_extract
    for split in "${splits[@]}"; do
        run "$PYTHON" "$LIB/corpus.py" check ${LINES_OF[$split]:+--expect "${LINES_OF[$split]}"} \
            "$PREP/raw/$split.${LANGS[0]}" "$PREP/raw/$split.${LANGS[1]}"
        for lang in "${LANGS[@]}"; do
            step "$PREP/tok/$split.$lang" -- "$PYTHON" "$LIB/text.py" --lang "$lang" --steps "$STEPS" \
                --workers "$WORKERS" "$PREP/raw/$split.$lang" "$PREP/tok/$split.$lang"
        done
    done
    select_pairs
    segment
    unlock
}

prepare_settings() {
    settings STEPS MERGES
    printf 'LANGS=%s\nFILTER=%s\nVALID_EVERY=%s\n' "${LANGS[*]}" "${FILTER[*]-}" "${VALID_EVERY:-}"
}

# Filter the training pairs by length and take the validation set out of them, where the recipe says so.
# Sets TRAIN_TEXT and VALID_TEXT, the names without language of what BPE is applied to.
select_pairs() {
    local a=${LANGS[0]} b=${LANGS[1]}
    TRAIN_TEXT=$PREP/tok/train VALID_TEXT=$PREP/tok/valid
    if ((${#FILTER[@]})); then
        step "$PREP/clean/train."{"$a","$b"} -- "$PYTHON" "$LIB/corpus.py" filter "${FILTER[@]}" \
            "$TRAIN_TEXT."{"$a","$b"} "$PREP/clean/train."{"$a","$b"}
        TRAIN_TEXT=$PREP/clean/train
    fi
    if [[ -n ${VALID_EVERY:-} ]]; then
        step "$PREP/split/"{train,valid}.{"$a","$b"} -- "$PYTHON" "$LIB/corpus.py" split --every "$VALID_EVERY" \
            "$TRAIN_TEXT."{"$a","$b"} "$PREP/split/"{train,valid}.{"$a","$b"}
        TRAIN_TEXT=$PREP/split/train VALID_TEXT=$PREP/split/valid
    fi
}

# Learn joint BPE on the training text and apply it to every split.
segment() {
    local split lang text
    step "$PREP/codes" -- "$PYTHON" "$LIB/bpe.py" learn --merges "$MERGES" --workers "$WORKERS" \
        --codes "$PREP/codes" "$TRAIN_TEXT.${LANGS[0]}" "$TRAIN_TEXT.${LANGS[1]}"
    for split in train valid "${TESTS[@]}"; do
        case $split in
            train) text=$TRAIN_TEXT ;;
            valid) text=$VALID_TEXT ;;
            *) text=$PREP/tok/$split ;;
        esac
        for lang in "${LANGS[@]}"; do
            step "$PREP/bpe/$split.$lang" -- "$PYTHON" "$LIB/bpe.py" apply --codes "$PREP/codes" \
                --workers "$WORKERS" "$text.$lang" "$PREP/bpe/$split.$lang"
        done
    done
}

stage_binarize() {
    local tests joined=() now
    now=$(prepare_settings && settings JOINED)
    if [[ -e $BIN ]]; then
        settle "$BIN/settings" "$now"
        [[ ! $PREP/bpe/train.$SRC -nt $BIN/settings ]] ||
            die "$BIN is older than the text in $PREP/bpe: remove it, and the runs that were trained on it"
        say "already there: $BIN"
        return 0
    fi
    need "$PREP/bpe/train.$SRC" prepare
    need_space "$PREPARE_MB"
    lock "$WORK/.data.lock"
    printf -v tests ",$PREP/bpe/%s" "${TESTS[@]}"
    ((!JOINED)) || joined=(--joined-dictionary)
    ((DRY_RUN)) || rm -rf "$BIN.tmp"
    # Both directions use the same data: fairseq finds the files of the pair by either order of its languages.
    run fairseq-preprocess --source-lang "${LANGS[0]}" --target-lang "${LANGS[1]}" --trainpref "$PREP/bpe/train" \
        --validpref "$PREP/bpe/valid" --testpref "${tests:1}" --destdir "$BIN.tmp" --workers "$WORKERS" "${joined[@]}"
    if ((!DRY_RUN)); then
        [[ -e $BIN.tmp/dict.$TGT.txt ]] || die "fairseq-preprocess left no dict.$TGT.txt in $BIN.tmp; see $LOG"
        printf '%s\n' "$now" >"$BIN.tmp/settings"
        mv "$BIN.tmp" "$BIN"
    fi
    unlock
}

# unpack INPUT… OUTPUT: a corpus file of plain or compressed text, RAW/INPUT, as PREP/raw/OUTPUT.
unpack() {
    local inputs=("${@:1:$#-1}") output=$PREP/raw/${*: -1}
    step "$output" -- "$PYTHON" "$LIB/corpus.py" unpack "${inputs[@]/#/$RAW/}" "$output"
}
