# shellcheck shell=bash disable=SC2034
# What the WMT recipes of English and another language have in common; sourced by their run.sh, which sets OTHER, the
# other language; BITEXTS, the training corpora as URL:MEMBER without language (MEMBER.gz: the language comes before
# that); NEWSTESTS, the years of the news test sets, the one to compare on first.

LANGS=(en "$OTHER")
TESTS=("${NEWSTESTS[@]/#/newstest}")
declare -A LINES_OF=([newstest2008]=2051 [newstest2009]=2525 [newstest2010]=2489 [newstest2011]=3003 [newstest2012]=3003
    [newstest2013]=3000 [newstest2014]=3003 [newstest2015]=2169 [newstest2016]=2999 [newstest2017]=3004
    [newstest2018]=2998 [newstest2019]=1997 [newstest2020]=1418)
: "${CHECKSUMS:=$RECIPE_DIR/../lib/newstests.md5}"
STEPS=normalize,printable,tokenize-dash
TEST_STEPS=apostrophe,tokenize-dash
FILTER_BPE=(--min 1 --max 250 --ratio 1.5)
: "${GLOBAL_TOKENS:=32768}" "${MAX_UPDATE:=100000}" "${SAVE_UPDATES:=2000}" "${WARMUP:=2000}" "${LENPEN:=0.6}"

corpus_urls() {
    bitext_urls
    newstest_urls
}

corpus_files() {
    bitext_files
    newstest_files
}

# Addresses of the archives that hold the training corpora.
bitext_urls() {
    local bitext
    for bitext in "${BITEXTS[@]}"; do echo "${bitext%:*}"; done
}

# All of them, one after the other, as the training text.
bitext_files() {
    local bitext lang archive member parts
    for lang in "${LANGS[@]}"; do
        parts=()
        for bitext in "${BITEXTS[@]}"; do
            archive=${bitext%:*} member=${bitext##*:}
            if [[ $member == *.gz ]]; then member=${member%.gz}.$lang.gz; else member=$member.$lang; fi
            parts+=("${archive##*/}:$member")
        done
        (IFS=+ && echo "train.$lang=${parts[*]}")
    done
}

# Addresses of the archives of the news test sets; all but one are called test.tgz.
newstest_urls() {
    local year
    for year in "${NEWSTESTS[@]}"; do
        case $year in
            2014) echo https://statmt.org/wmt14/test-full.tgz ;; # test.tgz lacks some sentences
            201[6-9] | 202?) echo "https://data.statmt.org/wmt${year:2}/translation-task/test.tgz#test-$year.tgz" ;;
            *) echo "https://statmt.org/wmt${year:2}/test.tgz#test-$year.tgz" ;;
        esac
    done
}

# Until 2013 one text in all languages, since then one per pair: the English side is the source.
newstest_files() {
    local year archive stem reference
    for year in "${NEWSTESTS[@]}"; do
        archive=test-$year.tgz stem=test/newstest$year reference=ref
        case $year in
            2011) stem=newstest$year reference=src ;;
            200? | 201[0-3]) reference=src ;;
            2014) archive=test-full.tgz stem=test-full/newstest2014-${OTHER}en ;;
            2019 | 202?) stem=sgm/newstest$year-en$OTHER ;;
            *) stem+=-en$OTHER ;;
        esac
        echo "newstest$year.en=$archive:$stem-src.en.sgm"
        echo "newstest$year.$OTHER=$archive:$stem-$reference.$OTHER.sgm"
    done
}
