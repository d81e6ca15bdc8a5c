# shellcheck shell=bash disable=SC2034
# What the WMT recipes of English and another language have in common; sourced by their run.sh, which sets OTHER, the
# other language, and BITEXTS, the training corpora as URL:MEMBER without language (MEMBER.gz: the language comes before
# that).

LANGS=(en "$OTHER")
STEPS=normalize,printable,tokenize-dash
TEST_STEPS=apostrophe,tokenize-dash
FILTER_BPE=(--min 1 --max 250 --ratio 1.5)
: "${GLOBAL_TOKENS:=32768}" "${MAX_UPDATE:=100000}" "${SAVE_UPDATES:=2000}" "${WARMUP:=2000}" "${LENPEN:=0.6}"

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

# sgm NAME ARCHIVE FOLDER: a test set whose English side is the source and whose other side is the reference.
sgm() {
    local stem=$3/$1
    [[ $1 == *-* ]] || die "sgm: $1 names no pair"
    echo "${1%%-*}.en=$2:$stem-src.en.sgm"
    echo "${1%%-*}.$OTHER=$2:$stem-ref.$OTHER.sgm"
}

# plain NAME ARCHIVE FOLDER: a test set of plain text.
plain() {
    local lang
    for lang in "${LANGS[@]}"; do echo "$1.$lang=$2:$3/$1.$lang"; done
}
