#!/usr/bin/env bash
# IWSLT14 German-English: TED talks, prepared as the published results have them.
# Files: de-en.tgz with de-en/train.tags.de-en.{de,en} and de-en/IWSLT14.TED{,X}.*.de-en.{de,en}.xml.
set -euo pipefail
unset CDPATH # cd would go by it, and print
RECIPE_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=facts.sh
source "$RECIPE_DIR/../lib/facts.sh"

LANGS=(de en)
TESTS=(test) # dev2010, dev2012 (TEDx), tst2010, tst2011, tst2012
declare -A LINES_OF=([train]=160239 [valid]=7283 [test]=6750)
UNPACK=(--drop "<url>" --drop "<talkid>" --drop "<keywords>")
STEPS=tokenize,lowercase
TEST_STEPS=apostrophe,tokenize,lowercase
FILTER=(--min 1 --max 175 --ratio 1.5)
VALID_EVERY=23
DOWNLOAD_MB=50 PREPARE_MB=500 TRAIN_MB=5000

: "${SRC:=de}" "${TGT:=en}" "${MERGES:=10000}" "${ARCH:=rnn_attn_iwslt_de_en}"
: "${LR:=0.002}" "${MAX_UPDATE:=60000}"

corpus_urls() {
    echo https://dl.fbaipublicfiles.com/fairseq/data/iwslt14/de-en.tgz
}

corpus_files() {
    local lang set parts
    for lang in "${LANGS[@]}"; do
        echo "train.$lang=de-en.tgz:de-en/train.tags.de-en.$lang"
        parts=()
        for set in TED.dev2010 TEDX.dev2012 TED.tst2010 TED.tst2011 TED.tst2012; do
            parts+=("de-en.tgz:de-en/IWSLT14.$set.de-en.$lang.xml")
        done
        (IFS=+ && echo "test.$lang=${parts[*]}")
    done
}

# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
