"""The command line of the commands that need a model: the options of fairseq-interactive and a few more."""

import argparse
from itertools import islice
from typing import Iterable, List, Optional, Tuple

from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

from ..errors import UsageError, flag
from .sentences import Inspection, LoadedModel, Sentence, inspect_sentences, load, read_file, read_split

# Options of fairseq-interactive that change its output to something other than the best translation.
WITHOUT_EFFECT = (
    "constraints",
    "replace_unk",  # also sets print_alignment
    "print_alignment",
    "score_reference",
    "prefix_size",
    "print_step",
    "retain_dropout",
    "lm_path",
)


def model_parser(command: str, description: str) -> argparse.ArgumentParser:
    """fairseq-interactive's parser, for ``DATA --path CHECKPOINT`` and all options of text and search."""
    parser = options.get_interactive_generation_parser()
    parser.prog = f"python -m rnn_s2s_plugin.inspect {command}"
    parser.description = f"{description} Options are those of fairseq-interactive, and the last group below."
    # None tells that they were not given.
    parser.set_defaults(input=None, gen_subset=None)
    return parser


def add_sentence_arguments(parser: argparse.ArgumentParser, limit: Optional[int] = None) -> argparse._ArgumentGroup:
    """Adds the options that select sentences, as a group, and returns the group; ``limit`` applies without them."""
    parser.set_defaults(limit_without_options=limit)
    group = parser.add_argument_group(
        "inspection", "sentences come from --input FILE (or -, standard input), or from the data's split --gen-subset"
    )
    group.add_argument("--reference", metavar="FILE", help="translations of --input, line by line")
    group.add_argument("--forced", action="store_true", help="read the references instead of translating")
    group.add_argument("--ids", metavar="N,N,…", help="numbers of the sentences to look at, from 0 (default: all)")
    unless = f"{limit}, or all of --ids" if limit else "all"
    group.add_argument("--limit", type=int, metavar="N", help=f"look at no more than N sentences (default: {unless})")
    return group


def inspect_from(args: argparse.Namespace, gates: bool = True) -> Tuple[LoadedModel, List[Inspection]]:
    """Loads the model and inspects the sentences that the command line selects.

    Raises:
        UsageError: for options that cannot be combined, or a missing sentence.
    """
    if args.input is not None and args.gen_subset is not None:
        raise UsageError("--input and --gen-subset are two sources of sentences: give one")
    if args.gen_subset is not None and args.reference is not None:
        raise UsageError("--reference belongs to --input: a split of the data (--gen-subset) has its own")
    split = args.gen_subset
    args.input, args.gen_subset = args.input or "-", args.gen_subset or "test"
    cfg = convert_namespace_to_omegaconf(args)
    given = {name: getattr(cfg.generation, name) for name in WITHOUT_EFFECT}
    given.update(nbest=cfg.generation.nbest > 1, fp16=cfg.common.fp16, bf16=cfg.common.bf16)
    for name, value in given.items():
        if value or value == "":  # --replace-unk without a file
            raise UsageError(f"{flag(name)} has no effect here: leave it out")
    loaded = load(cfg)
    sentences = read_split(loaded, split) if split else read_file(loaded, args.input, args.reference)
    limit = args.limit if args.limit is not None or args.ids else args.limit_without_options
    return loaded, inspect_sentences(loaded, select(sentences, args.ids, limit), args.forced, gates)


def select(sentences: Iterable[Sentence], ids: Optional[str], limit: Optional[int]) -> List[Sentence]:
    """The selected sentences, in the order of ``ids``.

    Raises:
        UsageError: for a limit below 1, or ids that are not the numbers of sentences.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1, got {limit}")
    if ids is None:
        return list(islice(sentences, limit))
    try:
        numbers = [int(number) for number in ids.split(",")]
    except ValueError:
        raise UsageError(f"--ids must be numbers with commas between them, got {ids!r}") from None
    found = {sentence.number: sentence for sentence in sentences}
    for number in numbers:
        if number not in found:
            raise UsageError(f"--ids {number}: there are sentences 0 to {len(found) - 1}")
    return [found[number] for number in numbers][:limit]
