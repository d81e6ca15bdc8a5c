# shellcheck shell=bash
# Stages download, prepare, binarize: from the corpus' files to fairseq's binary data.

stage_download() {
    local urls url missing=0 options=(--dest "$RAW")
    mapfile -t urls < <(corpus_urls)
    [[ -z $RAW_DIR ]] || check_same_files "${urls[@]##*[/#]}"
    for url in "${urls[@]}"; do [[ -e $RAW/${url##*[/#]} ]] || missing=1; done
    if ((!missing)); then
        say "already there: ${#urls[@]} files in $RAW"
        return 0
    fi
    need_space "$DOWNLOAD_MB"
    lock "$WORK/.data.lock"
    [[ -z $RAW_DIR ]] || options+=(--from "$RAW_DIR")
    [[ -z $MIRROR ]] || options+=(--mirror "$MIRROR")
    if [[ $CHECKSUMS != none && -e $CHECKSUMS ]]; then
        options+=(--checksums "$CHECKSUMS")
    elif [[ $CHECKSUMS != none && $CHECKSUMS != "$RECIPE_DIR/CHECKSUMS" ]]; then
        die "CHECKSUMS=$CHECKSUMS: no such file (none switches the check off)"
    fi
    run "$PYTHON" "$LIB/fetch.py" "${options[@]}" "${urls[@]}"
}

# check_same_files NAME…: what an earlier run has brought is not passed off as what lies in RAW_DIR now.
check_same_files() {
    local name
    for name; do
        [[ -e $RAW/$name && -e $RAW_DIR/$name && ! $RAW/$name -ef $RAW_DIR/$name ]] || continue
        cmp -s "$RAW/$name" "$RAW_DIR/$name" ||
            die "$RAW/$name is not the file in RAW_DIR=$RAW_DIR: set WORK to another folder, or unset RAW_DIR"
    done
}

# Every NAME.LANGUAGE of the given names, in the array FILES.
name_files() {
    local name lang
    FILES=()
    for name; do
        for lang in "${LANGS[@]}"; do FILES+=("$name.$lang"); done
    done
}

stage_prepare() {
    local url urls
    lock "$WORK/.data.lock"
    [[ ! -e $PREP/raw || -e $PREP/settings ]] || die "$PREP/raw is not of this recipe: set WORK to another folder"
    settle "$PREP/settings" "$(prepare_settings)"
    mapfile -t urls < <(corpus_urls)
    urls=("${urls[@]##*[/#]}")
    settle_corpus "${urls[@]/#/$RAW/}"
    name_files train valid "${TESTS[@]}"
    if all_exist "${FILES[@]/#/$PREP/bpe/}"; then
        say "already there: $PREP/bpe"
        return 0
    fi
    for url in "${urls[@]}"; do need "$RAW/$url" download; done
    need_space "$PREPARE_MB"
    unpack_all
    settle_corpus "${urls[@]/#/$RAW/}"
    tokenize_all
    select_pairs
    segment_all
    count_pairs
}

# settle_corpus FILE…: the files that PREP/raw was unpacked from, if it was, and they are still there.
settle_corpus() {
    if [[ -d $PREP/raw ]] && all_exist "$@"; then settle "$PREP/corpus" "$(contents raw "$@")"; fi
}

# What the prepared text depends on.
prepare_settings() {
    settings STEPS TEST_STEPS MERGES VALID_EVERY
    printf 'LANGS=%s\nFILTER=%s\nFILTER_BPE=%s\n' "${LANGS[*]}" "${FILTER[*]-}" "${FILTER_BPE[*]-}"
}

# The splits that the corpus comes with, in the array SPLITS.
name_splits() {
    SPLITS=(train "${TESTS[@]}")
    [[ -n $VALID_EVERY ]] || SPLITS+=(valid)
}

# PREP/raw: plain text, a file per split and language, with the same number of lines on both sides.
unpack_all() {
    local jobs
    name_splits
    [[ ! -d $PREP/raw ]] || return 0
    ((DRY_RUN)) || rm -rf "$PREP/raw.tmp"
    mapfile -t jobs < <(corpus_files)
    run "$PYTHON" "$LIB/corpus.py" unpack --from "$RAW" --to "$PREP/raw.tmp" "${UNPACK[@]}" "${jobs[@]}"
    run "$PYTHON" "$LIB/corpus.py" check --from "$PREP/raw.tmp" --langs "${LANGS[@]}" "${SPLITS[@]}"
    run mv "$PREP/raw.tmp" "$PREP/raw"
}

# PREP/tok: the same, normalised and tokenized; the training text by STEPS, the others by TEST_STEPS.
tokenize_all() {
    local lang
    for lang in "${LANGS[@]}"; do
        tokenize "$lang" "$STEPS" train
        tokenize "$lang" "$TEST_STEPS" "${SPLITS[@]:1}"
    done
}

tokenize() {
    local names=("${@:3}")
    names=("${names[@]/%/.$1}")
    step "${names[@]/#/$PREP/tok/}" -- "$PYTHON" "$LIB/text.py" --lang "$1" --steps "$2" --workers "$WORKERS" \
        --from "$PREP/raw" --to "$PREP/tok" "${names[@]}"
}

# Filter the training pairs by length and take the validation set out of them, where the recipe says so.
# TRAIN_FOLDER then holds the tokenized text of both.
select_pairs() {
    TRAIN_FOLDER=$PREP/tok
    if ((${#FILTER[@]})); then
        name_files train
        step "${FILES[@]/#/$PREP/clean/}" -- "$PYTHON" "$LIB/corpus.py" filter "${FILTER[@]}" --langs "${LANGS[@]}" \
            "$TRAIN_FOLDER/train" "$PREP/clean/train"
        TRAIN_FOLDER=$PREP/clean
    fi
    if [[ -n $VALID_EVERY ]]; then
        name_files train valid
        step "${FILES[@]/#/$PREP/split/}" -- "$PYTHON" "$LIB/corpus.py" split --every "$VALID_EVERY" \
            --langs "${LANGS[@]}" "$TRAIN_FOLDER/train" "$PREP/split/train" "$PREP/split/valid"
        TRAIN_FOLDER=$PREP/split
    fi
}

# PREP/codes and PREP/bpe: joint BPE learnt on the training text and applied to every split; pairs of the training text
# (and of the validation text taken out of it) are then filtered by their length in subwords where the recipe says so.
segment_all() {
    BPE_FOLDER=$PREP/bpe
    step "$PREP/codes" -- "$PYTHON" "$LIB/bpe.py" learn --merges "$MERGES" --workers "$WORKERS" \
        --codes "$PREP/codes" "$TRAIN_FOLDER/train.${LANGS[0]}" "$TRAIN_FOLDER/train.${LANGS[1]}"
    segment "$PREP/tok" "${TESTS[@]}"
    if [[ -n $VALID_EVERY ]]; then
        segment_and_filter train valid
    else
        segment "$PREP/tok" valid
        segment_and_filter train
    fi
}

# segment FOLDER NAME…: apply BPE to both languages of some splits.
segment() {
    name_files "${@:2}"
    step "${FILES[@]/#/$BPE_FOLDER/}" -- "$PYTHON" "$LIB/bpe.py" apply --codes "$PREP/codes" --workers "$WORKERS" \
        --from "$1" --to "$BPE_FOLDER" "${FILES[@]}"
}

segment_and_filter() {
    local split BPE_FOLDER=$BPE_FOLDER
    if ((!${#FILTER_BPE[@]})); then
        segment "$TRAIN_FOLDER" "$@"
        return 0
    fi
    BPE_FOLDER=$PREP/bpe.all
    segment "$TRAIN_FOLDER" "$@"
    for split; do
        name_files "$split"
        step "${FILES[@]/#/$PREP/bpe/}" -- "$PYTHON" "$LIB/corpus.py" filter "${FILTER_BPE[@]}" \
            --langs "${LANGS[@]}" "$PREP/bpe.all/$split" "$PREP/bpe/$split"
    done
}

# Say how many pairs there are, and how many there should be.
count_pairs() {
    local split expected=()
    for split in train valid "${TESTS[@]}"; do expected+=("$split:${LINES_OF[$split]:-}"); done
    run "$PYTHON" "$LIB/corpus.py" check --from "$PREP/bpe" --langs "${LANGS[@]}" "${expected[@]}"
}

stage_binarize() {
    local prefixes options=() now text
    now=$(prepare_settings && settings JOINED)
    lock "$WORK/.data.lock"
    name_files train valid "${TESTS[@]}"
    text=$(all_exist "${FILES[@]/#/$PREP/bpe/}" && contents text "${FILES[@]/#/$PREP/bpe/}") || text=
    if [[ -e $BIN ]]; then
        [[ -e $BIN/settings ]] || die "$BIN is not of this recipe: set WORK to another folder"
        settle "$BIN/settings" "$now"
        [[ -z $text || ! -e $BIN/text ]] || settle "$BIN/text" "$text"
        say "already there: $BIN"
        return 0
    fi
    need "$PREP/bpe/train.$SRC" prepare
    need_space "$PREPARE_MB"
    printf -v prefixes ",%s" "${TESTS[@]/#/$PREP/bpe/}"
    ((!JOINED)) || options=(--joined-dictionary)
    ((DRY_RUN)) || rm -rf "$BIN.tmp"
    # Both directions use the same data: fairseq finds the files of the pair by either order of its languages.
    run fairseq-preprocess --source-lang "${LANGS[0]}" --target-lang "${LANGS[1]}" --trainpref "$PREP/bpe/train" \
        --validpref "$PREP/bpe/valid" --testpref "${prefixes:1}" --destdir "$BIN.tmp" --workers "$WORKERS" "${options[@]}"
    if ((!DRY_RUN)); then
        [[ -e $BIN.tmp/dict.$TGT.txt ]] || die "fairseq-preprocess left no dict.$TGT.txt in $BIN.tmp; see $LOG"
        printf '%s\n' "$now" >"$BIN.tmp/settings"
        printf '%s\n' "$text" >"$BIN.tmp/text"
        mv "$BIN.tmp" "$BIN"
    fi
}

# The text that BIN was made of, among the settings of what is made with it.
text_of_bin() { [[ ! -e $BIN/text ]] || cat "$BIN/text"; }
