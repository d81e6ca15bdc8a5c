#!/usr/bin/env bash
# WMT17 English-German: Europarl v7, Common Crawl, News Commentary v12; 4.5 million pairs.
# Files: training/europarl-v7.de-en.*, commoncrawl.de-en.*, training/news-commentary-v12.de-en.* and the news test sets.
set -euo pipefail
unset CDPATH # cd would go by it, and print
RECIPE_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=facts.sh
source "$RECIPE_DIR/../lib/facts.sh"

OTHER=de
BITEXTS=(
    https://statmt.org/wmt13/training-parallel-europarl-v7.tgz:training/europarl-v7.de-en
    https://statmt.org/wmt13/training-parallel-commoncrawl.tgz:commoncrawl.de-en
    https://data.statmt.org/wmt17/translation-task/training-parallel-nc-v12.tgz:training/news-commentary-v12.de-en
)
NEWSTESTS=(2017 20{08,09,10,11,12,13,14,15,16,18,19,20})
VALID_EVERY=100
DOWNLOAD_MB=2000 PREPARE_MB=15000 TRAIN_MB=20000

: "${SRC:=en}" "${TGT:=de}" "${MERGES:=40000}" "${ARCH:=rnn_attn_wmt_en_de}"

# shellcheck source=wmt.sh
source "$RECIPE_DIR/../lib/wmt.sh"
# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
