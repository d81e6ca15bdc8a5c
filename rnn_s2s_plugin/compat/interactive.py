"""fairseq-interactive: soft alignments, and no abort at lines that it cannot translate."""

import builtins
import fileinput
import logging
import sys

from fairseq import utils

from .mending import mend

logger = logging.getLogger(__name__)

# fairseq-interactive writes every entry of an alignment as a pair with a hyphen; this stands for "no second number".
NOTHING = "\0"


def mend_interactive() -> None:
    """Fixes the command that is running, as a console script or as a file of its own."""
    for name in ("fairseq_cli.interactive", "__main__"):
        module = sys.modules.get(name)
        if hasattr(module, "buffered_read") and not hasattr(module.buffered_read, "__wrapped__"):
            mend(module, "buffered_read")(read_any_bytes)
            mend(module, "make_batches")(leave_out_long_lines)
            module.utils = UtilsWithSoftAlignment()
            module.print = print_without_nothing


def read_any_bytes(original, path, buffer_size):
    """Bytes that are not UTF-8 abort fairseq; here they become a replacement character, which is an unknown word."""
    lines = []
    with fileinput.input(files=[path], mode="rb") as source:
        for number, line in enumerate(source, start=1):
            text = line.decode("utf-8", errors="replace")
            if text.encode("utf-8") != line:
                logger.warning(f"line {number} is not UTF-8: what cannot be read counts as an unknown word")
            lines.append(text.lstrip("\ufeff").strip())  # Windows' programs begin a file with this mark
            if len(lines) >= buffer_size:
                yield lines
                lines = []
    if lines:
        yield lines


def leave_out_long_lines(original, lines, cfg, task, max_positions, encode_fn):
    """A line longer than --max-source-positions or --max-tokens aborts fairseq; here only this line is not translated.

    The task also stores the source words of the batch, which --replace-unk copies (see ``generation``).
    """
    cfg.dataset.skip_invalid_size_inputs_valid_test = True
    if cfg.generation.constraints:
        lines[:] = [with_usable_constraints(line, cfg.generation, encode_fn) for line in lines]
    max_positions = utils.resolve_max_positions(max_positions, cfg.dataset.max_tokens)
    left = set(range(len(lines)))
    for batch in original(lines, cfg, task, max_positions, encode_fn):
        numbers = batch.ids.tolist()
        task.sources_of_batch = [encode_fn(lines[number]) for number in numbers]
        left.difference_update(numbers)
        yield batch
    for line in (lines[number] for number in sorted(left)):
        logger.warning(
            f"a line of {len(encode_fn(line).split())} words is not translated, for it is longer than "
            f"--max-source-positions or --max-tokens: {line[:40]} ..."
        )


def with_usable_constraints(line, generation, encode_fn):
    """Constraints that are empty (two tabs in a row) abort fairseq, as do more words than the translation may have.

    Here they are removed from the line.
    """
    text, *constraints = line.split("\t")
    constraints = [words for words in constraints if encode_fn(words).split()]
    wanted = sum(len(encode_fn(words).split()) for words in constraints)
    longest = int(generation.max_len_a * (len(encode_fn(text).split()) + 1) + generation.max_len_b)
    if wanted < longest or not constraints:
        return "\t".join([text, *constraints])
    logger.warning(
        f"a line is translated without its constraints of {wanted} words, for translations have at most {longest} "
        f"(--max-len-a, --max-len-b): {text[:40]}"
    )
    return text


class UtilsWithSoftAlignment:
    """``fairseq.utils``, except that rows of probabilities are pairs, because fairseq-interactive unpacks pairs."""

    def __getattr__(self, name):
        return getattr(utils, name)

    @staticmethod
    def post_process_prediction(**kwargs):
        tokens, text, alignment = utils.post_process_prediction(**kwargs)
        return tokens, text, [(",".join(row), NOTHING) if isinstance(row, list) else row for row in alignment]


def print_without_nothing(text, *args, **kwargs):
    """Prints as fairseq-generate does: rows with commas between the numbers, and no hyphen after them."""
    builtins.print(text.replace(f"-{NOTHING}", ""), *args, **kwargs)
