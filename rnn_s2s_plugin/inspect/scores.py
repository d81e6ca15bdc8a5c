"""sacrebleu's BLEU, and the options of all commands that compute scores."""

import argparse

import sacrebleu
from sacrebleu.metrics import BLEU

# Without its tokenizer and smoothing, sacrebleu computes the same BLEU as multi-bleu and papers on tokenized text.
TOKENIZED = "none"


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for references and for preparing text for BLEU."""
    parser.add_argument("--reference", metavar="FILE", help="references, if the outputs do not hold them")
    parser.add_argument(
        "--remove-bpe", nargs="?", const="@@ ", metavar="SCHEME", help="join subwords: '@@ ' (default) or sentencepiece"
    )
    parser.add_argument(
        "--tokenize",
        default=TOKENIZED,
        choices=sorted(sacrebleu.BLEU.TOKENIZERS),
        help="sacrebleu's tokenizer: none for text that is tokenized (default), 13a for text that is not",
    )


def bleu(tokenize: str) -> BLEU:
    """sacrebleu's BLEU, without smoothing for tokenized text."""
    return BLEU(tokenize=tokenize, smooth_method="none" if tokenize == TOKENIZED else "exp", force=True)
