#!/usr/bin/env bash
# WMT14 English-German: Europarl v7, Common Crawl, News Commentary v9; 4.5 million pairs.
# Files: training/europarl-v7.de-en.*, commoncrawl.de-en.*, training/news-commentary-v9.de-en.*, dev/newstest2013.*,
# test-full/newstest2014-deen-{src.en,ref.de}.sgm.
set -euo pipefail
RECIPE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

OTHER=de
BITEXTS=(
    https://statmt.org/wmt13/training-parallel-europarl-v7.tgz:training/europarl-v7.de-en
    https://statmt.org/wmt13/training-parallel-commoncrawl.tgz:commoncrawl.de-en
    https://statmt.org/wmt14/training-parallel-nc-v9.tgz:training/news-commentary-v9.de-en
)
TESTS=(newstest2014 newstest2013)
VALID_EVERY=100
DOWNLOAD_MB=2000 PREPARE_MB=15000 TRAIN_MB=20000
declare -A LINES_OF=([newstest2014]=3003 [newstest2013]=3000)

: "${SRC:=en}" "${TGT:=de}" "${MERGES:=40000}" "${ARCH:=rnn_attn_wmt_en_de}"

corpus_urls() {
    bitext_urls
    echo https://data.statmt.org/wmt17/translation-task/dev.tgz
    echo https://statmt.org/wmt14/test-full.tgz
}

corpus_files() {
    bitext_files
    sgm newstest2014-deen test-full.tgz test-full
    plain newstest2013 dev.tgz dev
}

# shellcheck source=wmt.sh
source "$RECIPE_DIR/../lib/wmt.sh"
# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
