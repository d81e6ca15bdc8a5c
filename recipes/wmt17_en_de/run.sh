#!/usr/bin/env bash
# WMT17 English-German: Europarl v7, Common Crawl, News Commentary v12; 4.5 million pairs.
# Files: training/europarl-v7.de-en.*, commoncrawl.de-en.*, training/news-commentary-v12.de-en.*, dev/newstest2013.*,
# dev/newstest20{15,16}-ende-*.sgm, test-full/newstest2014-deen-*.sgm, test/newstest2017-ende-{src.en,ref.de}.sgm.
set -euo pipefail
RECIPE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

OTHER=de
BITEXTS=(
    https://statmt.org/wmt13/training-parallel-europarl-v7.tgz:training/europarl-v7.de-en
    https://statmt.org/wmt13/training-parallel-commoncrawl.tgz:commoncrawl.de-en
    https://data.statmt.org/wmt17/translation-task/training-parallel-nc-v12.tgz:training/news-commentary-v12.de-en
)
TESTS=(newstest2017 newstest2016 newstest2015 newstest2014 newstest2013)
VALID_EVERY=100
DOWNLOAD_MB=2000 PREPARE_MB=15000 TRAIN_MB=20000
declare -A LINES_OF=([newstest2017]=3004 [newstest2016]=2999 [newstest2015]=2169 [newstest2014]=3003
    [newstest2013]=3000)

: "${SRC:=en}" "${TGT:=de}" "${MERGES:=40000}" "${ARCH:=rnn_attn_wmt_en_de}"

corpus_urls() {
    bitext_urls
    echo https://data.statmt.org/wmt17/translation-task/dev.tgz
    echo https://statmt.org/wmt14/test-full.tgz
    echo https://data.statmt.org/wmt17/translation-task/test.tgz
}

corpus_files() {
    bitext_files
    sgm newstest2017-ende test.tgz test
    sgm newstest2016-ende dev.tgz dev
    sgm newstest2015-ende dev.tgz dev
    sgm newstest2014-deen test-full.tgz test-full
    plain newstest2013 dev.tgz dev
}

# shellcheck source=wmt.sh
source "$RECIPE_DIR/../lib/wmt.sh"
# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
