#!/usr/bin/env bash
# IWSLT15 English-Vietnamese: TED talks as prepared at Stanford, tokenized already.
# Files: {train,tst2012,tst2013}.{en,vi}, plain text.
set -euo pipefail
unset CDPATH # cd would go by it, and print
RECIPE_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=facts.sh
source "$RECIPE_DIR/../lib/facts.sh"

LANGS=(en vi)
TESTS=(tst2013)
declare -A LINES_OF=([train]=133317 [valid]=1553 [tst2013]=1268)
STEPS=squeeze
RAW_TOKENIZED=1
FILTER=(--min 1 --max 250) # there are empty lines in the training text
DOWNLOAD_MB=100 PREPARE_MB=500 TRAIN_MB=5000

: "${SRC:=en}" "${TGT:=vi}" "${MERGES:=10000}" "${ARCH:=rnn_attn_iwslt_en_vi}"
: "${LR:=0.002}" "${MAX_UPDATE:=50000}"

corpus_urls() {
    local split lang
    for split in train tst2012 tst2013; do
        for lang in "${LANGS[@]}"; do
            echo "https://nlp.stanford.edu/projects/nmt/data/iwslt15.en-vi/$split.$lang"
        done
    done
}

corpus_files() {
    local lang
    for lang in "${LANGS[@]}"; do
        echo "train.$lang=train.$lang"
        echo "valid.$lang=tst2012.$lang"
        echo "tst2013.$lang=tst2013.$lang"
    done
}

# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
