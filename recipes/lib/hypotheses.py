"""What fairseq-generate printed: the best hypothesis of every sentence."""

import re
from pathlib import Path

from files import RecipeError, read_lines


def best_hypotheses(path: str | Path) -> list[str]:
    """The best hypothesis of each sentence, as it was printed, by the number of the sentence."""
    best: dict[int, tuple[float, str]] = {}
    for line in read_lines(path):
        if match := re.match(r"H-(\d+)\t(\S+)\t(.*)", line):
            number, score, words = int(match[1]), float(match[2]), match[3]
            if number not in best or score > best[number][0]:
                best[number] = score, words
    if not best:
        raise RecipeError(f"{path} holds no hypotheses: fairseq-generate did not finish; remove it and generate again")
    if sorted(best) != list(range(len(best))):
        raise RecipeError(
            f"{path} has hypotheses for {len(best)} sentences numbered up to {max(best)}: some are missing"
        )
    return [best[number][1] for number in range(len(best))]
