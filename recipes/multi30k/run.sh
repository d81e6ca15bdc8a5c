#!/usr/bin/env bash
# Multi30k (WMT multimodal task 1, text only): 29,000 image captions, English and German.
# Files: {train,val,test_2016_flickr,test_2017_flickr,test_2017_mscoco}.{en,de}.gz from github.com/multi30k/dataset.
set -euo pipefail

RECIPE_SCRIPT=${BASH_SOURCE[0]}
RECIPE_DIR=$(cd "$(dirname "$RECIPE_SCRIPT")" && pwd)
RECIPE_SCRIPT=$RECIPE_DIR/run.sh
# shellcheck source=../lib/recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"

LANGS=(en de)
TESTS=(test_2016_flickr test_2017_flickr test_2017_mscoco)
declare -A LINES_OF=([train]=29000 [valid]=1014
    [test_2016_flickr]=1000 [test_2017_flickr]=1000 [test_2017_mscoco]=461)
FILTER=()
STEPS=lowercase,normalize,tokenize # in the order of the corpus' own tokenized edition
DOWNLOAD_MB=10 PREPARE_MB=100 TRAIN_MB=2000

: "${SRC:=en}" "${TGT:=de}" "${MERGES:=10000}"
: "${GLOBAL_TOKENS:=2048}" "${MAX_EPOCH:=60}" "${PATIENCE:=10}" "${AVERAGE:=5}"

corpus_urls() {
    local split lang
    for split in train val "${TESTS[@]}"; do
        for lang in "${LANGS[@]}"; do
            echo "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/$split.$lang.gz"
        done
    done
}

corpus_extract() {
    local split lang
    for lang in "${LANGS[@]}"; do
        for split in train "${TESTS[@]}"; do unpack "$split.$lang.gz" "$split.$lang"; done
        unpack "val.$lang.gz" "valid.$lang"
    done
}

recipe_main "$@"
