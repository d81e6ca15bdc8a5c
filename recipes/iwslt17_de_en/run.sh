#!/usr/bin/env bash
# IWSLT17 German-English: TED talks, cased.
# Files: of 2017-01-trnted, de-en/train.tags.de-en.{de,en} and de-en/IWSLT17.TED.{dev2010,tst2010..tst2015}.de-en.*.xml;
# of 2017-01-ted-test, tst2017, whose German side is in one archive and whose English side is in another.
set -euo pipefail
unset CDPATH # cd would go by it, and print
RECIPE_DIR=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=facts.sh
source "$RECIPE_DIR/../lib/facts.sh"

LANGS=(de en)
TESTS=(tst2017)
UNPACK=(--drop "<url>" --drop "<talkid>" --drop "<keywords>" --drop "<speaker>" --drop "<reviewer"
    --drop "<translator" --drop "<doc" --drop "</doc>")
STEPS=tokenize
TEST_STEPS=apostrophe,tokenize
FILTER_BPE=(--min 1 --max 250)
DOWNLOAD_MB=100 PREPARE_MB=500 TRAIN_MB=5000

: "${SRC:=de}" "${TGT:=en}" "${MERGES:=16000}" "${ARCH:=rnn_attn_iwslt_de_en}"
: "${LR:=0.002}" "${MAX_UPDATE:=75000}"

corpus_urls() {
    local site=https://raw.githubusercontent.com/hlt-mt/WIT3/master/archive
    echo "$site/2017-01-trnted/texts/de/en/de-en.tgz"
    echo "$site/2017-01-ted-test/texts/de/en/de-en.tgz#test-de-en.tgz"
    echo "$site/2017-01-ted-test/texts/en/de/en-de.tgz#test-en-de.tgz"
}

corpus_files() {
    local lang set parts
    for lang in "${LANGS[@]}"; do
        echo "train.$lang=de-en.tgz:de-en/train.tags.de-en.$lang"
        parts=()
        for set in dev2010 tst201{0..5}; do parts+=("de-en.tgz:de-en/IWSLT17.TED.$set.de-en.$lang.xml"); done
        (IFS=+ && echo "valid.$lang=${parts[*]}")
    done
    echo "tst2017.de=test-de-en.tgz:de-en/IWSLT17.TED.tst2017.de-en.de.xml"
    echo "tst2017.en=test-en-de.tgz:en-de/IWSLT17.TED.tst2017.en-de.en.xml"
}

# shellcheck source=recipe.sh
source "$RECIPE_DIR/../lib/recipe.sh"
recipe_main "$@"
