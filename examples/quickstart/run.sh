#!/usr/bin/env bash
# Quick start: generates a German-English task, trains an attention model on it, translates held-out sentences.
#
#   bash examples/quickstart/run.sh
#
# No download beyond the Python packages. Everything is written to the folder work beside this script, or to $WORK.
# Steps whose output is there are skipped, so a run that was stopped goes on where it was; remove the folder to
# start anew. Further arguments go to fairseq-train, e.g. --max-epoch 2 or --arch rnn_conv_attn.
set -euo pipefail
unset CDPATH # cd would go by it, and print
if [[ ${1-} == -h || ${1-} == --help ]]; then
    exec sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${WORK:-$here/work}

bash "$root/install.sh"
export VIRTUAL_ENV="${VIRTUAL_ENV:-$root/.venv}"
export PATH="$VIRTUAL_ENV/bin:$PATH"
# The model is small: a second thread gains little, and on a busy machine the two waste most of their time waiting for
# each other (seen: eight times the processor time).
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

run() { # prints a command, then runs it
    { printf '\n$' && printf ' %q' "$@" && echo; } >&2
    "$@"
}
missing() { # is the output $1 of a step still to be made?
    [[ -e $1 ]] || return 0
    echo "$work/$1 is there: step skipped" >&2
    return 1
}

mkdir -p "$work"
cd "$work"

# 1. Sentences
if missing text; then
    run python "$here/make_data.py" text
fi

# 2. Subwords: 2,000 merges leave common words whole and split numbers, vier@@ undzwanzig
if missing codes; then
    cat text/train.de text/train.en >both.txt
    run subword-nmt learn-bpe --symbols 2000 --input both.txt --output codes.partial
    rm both.txt
    mv codes.partial codes
fi
if missing bpe; then
    rm -rf bpe.partial && mkdir bpe.partial
    for file in {train,valid,test}.{de,en}; do
        run subword-nmt apply-bpe --codes codes --input "text/$file" --output "bpe.partial/$file"
    done
    mv bpe.partial bpe
fi

# 3. fairseq's binary form
if missing bin; then
    rm -rf bin.partial
    run fairseq-preprocess --source-lang de --target-lang en --destdir bin.partial \
        --trainpref bpe/train --validpref bpe/valid --testpref bpe/test
    mv bin.partial bin
fi

# 4. Training: one pass, so no sentence is seen twice
if missing model.pt; then
    run fairseq-train bin --user-dir "$root/rnn_s2s_plugin" --arch rnn_attn \
        --attention concat --layer-norm --dropout 0 \
        --encoder-embed-dim 128 --encoder-hidden-size 96 --decoder-embed-dim 128 --decoder-hidden-size 192 \
        --optimizer adam --lr 4e-3 --lr-scheduler polynomial_decay --warmup-updates 50 --total-num-update 870 \
        --clip-norm 1 --max-tokens 2000 --max-epoch 1 --seed 1 --log-interval 10 \
        --save-dir checkpoints --save-interval-updates 200 --keep-interval-updates 1 --no-epoch-checkpoints "$@"
    cp checkpoints/checkpoint_last.pt model.partial
    mv model.partial model.pt
fi

# 5. Translation
if missing translations.txt; then
    run fairseq-generate bin --user-dir "$root/rnn_s2s_plugin" --path model.pt \
        --beam 5 --print-alignment soft >translations.partial
    mv translations.partial translations.txt
fi

# 6. Report
run python "$here/report.py" translations.txt text attention.png
