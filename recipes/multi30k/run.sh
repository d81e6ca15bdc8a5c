#!/usr/bin/env bash
# Multi30k (WMT multimodal task 1, text only): 29,000 image captions in English and German, French or Czech.
# Files: {train,val,test_2016_flickr,test_2017_flickr,test_2017_mscoco}.{en,de}.gz of github.com/multi30k/dataset.
set -euo pipefail
unset CDPATH # cd would go by it, and print
RECIPE_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=facts.sh
source "$RECIPE_DIR/../lib/facts.sh"

PAIRS=(en-de en-fr en-cs)
: "${SRC:=en}" "${TGT:=de}"
LANGS=(en "${SRC#en}${TGT#en}") # the other one of the two
TESTS=(test_2016_flickr test_2017_flickr test_2017_mscoco)
[[ ${LANGS[1]} != cs ]] || TESTS=(test_2016_flickr test_2018_flickr)
[[ ${LANGS[1]} == de ]] || : "${WORK:=$RECIPE_DIR/work/en-${LANGS[1]}}"
declare -A LINES_OF=([train]=29000 [valid]=1014
    [test_2016_flickr]=1000 [test_2017_flickr]=1000 [test_2017_mscoco]=461 [test_2018_flickr]=1071)
STEPS=lowercase,normalize,tokenize # in the order of the corpus' own tokenized edition
DOWNLOAD_MB=10 PREPARE_MB=100 TRAIN_MB=2000

: "${MERGES:=4000}" "${ARCH:=rnn_attn_multi30k}"
: "${GLOBAL_TOKENS:=1024}" "${LR:=0.004}" "${CLIP:=1}" "${DIVERSIFY:=0}" "${TEACHER_UPDATE:=8000}"
: "${MAX_UPDATE:=$([[ $DIVERSIFY == 0 ]] && echo 8000 || echo 16000)}"

corpus_urls() {
    local split lang
    for split in train val "${TESTS[@]}"; do
        for lang in "${LANGS[@]}"; do
            echo "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/$split.$lang.gz"
        done
    done
}

corpus_files() {
    local split lang
    for lang in "${LANGS[@]}"; do
        for split in train "${TESTS[@]}"; do echo "$split.$lang=$split.$lang.gz"; done
        echo "valid.$lang=val.$lang.gz"
    done
}

# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
