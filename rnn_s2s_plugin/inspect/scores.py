"""BLEU by sacrebleu, and the options that all commands with scores have."""

import argparse

import sacrebleu
from sacrebleu.metrics import BLEU

# Without its tokenizer and smoothing sacrebleu computes what multi-bleu and papers on tokenized text do.
TOKENIZED = "none"


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """References, and how text is made ready for BLEU."""
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
    """sacrebleu's BLEU; for tokenized text without smoothing."""
    return BLEU(tokenize=tokenize, smooth_method="none" if tokenize == TOKENIZED else "exp", force=True)
