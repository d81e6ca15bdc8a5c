#!/usr/bin/env bash
# WMT14 English-French: Europarl v7, Common Crawl, UN, News Commentary v9, 10^9 French-English; 40 million pairs.
# Files: training/europarl-v7.fr-en.*, commoncrawl.fr-en.*, un/undoc.2000.fr-en.*,
# training/news-commentary-v9.fr-en.*, giga-fren.release2.fixed.*.gz and the news test sets.
set -euo pipefail
unset CDPATH # cd would go by it, and print
RECIPE_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=facts.sh
source "$RECIPE_DIR/../lib/facts.sh"

OTHER=fr
BITEXTS=(
    https://statmt.org/wmt13/training-parallel-europarl-v7.tgz:training/europarl-v7.fr-en
    https://statmt.org/wmt13/training-parallel-commoncrawl.tgz:commoncrawl.fr-en
    https://statmt.org/wmt13/training-parallel-un.tgz:un/undoc.2000.fr-en
    https://statmt.org/wmt14/training-parallel-nc-v9.tgz:training/news-commentary-v9.fr-en
    https://statmt.org/wmt10/training-giga-fren.tar:giga-fren.release2.fixed.gz
)
NEWSTESTS=(2014 20{08,09,10,11,12,13})
VALID_EVERY=1333
DOWNLOAD_MB=8000 PREPARE_MB=80000 TRAIN_MB=20000

: "${SRC:=en}" "${TGT:=fr}" "${MERGES:=40000}" "${ARCH:=rnn_attn_wmt_en_fr}"

# shellcheck source=wmt.sh
source "$RECIPE_DIR/../lib/wmt.sh"
# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
