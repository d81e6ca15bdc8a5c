#!/usr/bin/env bash
# WMT14 English-French: Europarl v7, Common Crawl, UN, News Commentary v9, 10^9 French-English; 40 million pairs.
# Files: training/europarl-v7.fr-en.*, commoncrawl.fr-en.*, un/undoc.2000.fr-en.*,
# training/news-commentary-v9.fr-en.*, giga-fren.release2.fixed.*.gz, test-full/newstest2014-fren-{src.en,ref.fr}.sgm.
set -euo pipefail
RECIPE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

OTHER=fr
BITEXTS=(
    https://statmt.org/wmt13/training-parallel-europarl-v7.tgz:training/europarl-v7.fr-en
    https://statmt.org/wmt13/training-parallel-commoncrawl.tgz:commoncrawl.fr-en
    https://statmt.org/wmt13/training-parallel-un.tgz:un/undoc.2000.fr-en
    https://statmt.org/wmt14/training-parallel-nc-v9.tgz:training/news-commentary-v9.fr-en
    https://statmt.org/wmt10/training-giga-fren.tar:giga-fren.release2.fixed.gz
)
TESTS=(newstest2014 newstest2013)
VALID_EVERY=1333
DOWNLOAD_MB=8000 PREPARE_MB=80000 TRAIN_MB=20000
declare -A LINES_OF=([newstest2014]=3003 [newstest2013]=3000)

: "${SRC:=en}" "${TGT:=fr}" "${MERGES:=40000}" "${ARCH:=rnn_attn_wmt_en_fr}"

corpus_urls() {
    bitext_urls
    echo https://data.statmt.org/wmt17/translation-task/dev.tgz
    echo https://statmt.org/wmt14/test-full.tgz
}

corpus_files() {
    bitext_files
    sgm newstest2014-fren test-full.tgz test-full
    plain newstest2013 dev.tgz dev
}

# shellcheck source=wmt.sh
source "$RECIPE_DIR/../lib/wmt.sh"
# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
