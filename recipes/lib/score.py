"""Score fairseq-generate's output: tokenized BLEU as papers report it, detokenized sacreBLEU and chrF.

Usage:
    python score.py --lang de [--lowercase] --command "what was typed" --run RUN_DIR --output results.json
        --test NAME GENERATED TOKENIZED_REFERENCE RAW_REFERENCE ...

* BLEU (tokenized): both sides as tokenized (and lowercased) by the recipe, BPE undone; sacrebleu without its
  tokenizer and without smoothing, which is the definition of multi-bleu.
* sacreBLEU and chrF: hypotheses detokenized with sacremoses against the raw reference, tokenized by sacrebleu
  itself; case-insensitive where the model writes lowercase only.
"""

import argparse
import json
import os
from pathlib import Path

from files import RecipeError, read_lines, run_tool
from hypotheses import best_hypotheses
from sacrebleu.metrics import BLEU, CHRF
from text import detokenize


def hypotheses(path: str) -> list[str]:
    """The best hypothesis of each sentence, BPE undone."""
    return [f"{line} ".replace("@@ ", "").strip() for line in best_hypotheses(path)]


def score(generated: str, tokenized: str, raw: str, lang: str, lowercase: bool, raw_tokenized: bool) -> dict:
    """All scores of one test set. ``raw_tokenized``: there is no untokenized reference, so detokenize this one."""
    lines, references, raw_references = (
        hypotheses(generated),
        list(read_lines(tokenized)),
        list(read_lines(raw)),
    )
    if not len(lines) == len(references) == len(raw_references):
        raise RecipeError(
            f"{generated} has {len(lines)} hypotheses, but {tokenized} has {len(references)} lines and "
            f"{raw} {len(raw_references)}"
        )
    if raw_tokenized:
        raw_references = detokenize(raw_references, lang)
    tokenized_bleu = BLEU(tokenize="none", smooth_method="none", force=True)
    plain = detokenize(lines, lang)
    detokenized_bleu, chrf = BLEU(lowercase=lowercase), CHRF(lowercase=lowercase)
    of_tokens = tokenized_bleu.corpus_score(lines, [references])
    of_text = detokenized_bleu.corpus_score(plain, [raw_references])
    return {
        "sentences": len(lines),
        "bleu_tokenized": round(of_tokens.score, 2),
        "length_ratio": round(of_tokens.ratio, 4),
        "sacrebleu": round(of_text.score, 2),
        "chrf": round(chrf.corpus_score(plain, [raw_references]).score, 2),
        "signatures": {
            "bleu_tokenized": str(tokenized_bleu.get_signature()),
            "sacrebleu": str(detokenized_bleu.get_signature()),
            "chrf": str(chrf.get_signature()),
        },
        "hypotheses": os.path.basename(generated),
    }


def table(tests: dict[str, dict], lowercase: bool) -> str:
    """The results as a readable table."""
    case = "lowercased" if lowercase else "cased"
    width = max(map(len, tests))
    lines = [f"{'test set':{width}}  sentences  BLEU (tokenized, {case})  sacreBLEU   chrF  length ratio"]
    gap = len(f"BLEU (tokenized, {case})")
    for name, result in tests.items():
        lines.append(
            f"{name:{width}}  {result['sentences']:9}  {result['bleu_tokenized']:{gap}.2f}  "
            f"{result['sacrebleu']:9.2f}  {result['chrf']:5.2f}  {result['length_ratio']:12.3f}"
        )
    lines += [f"{name}: {text}" for name, text in next(iter(tests.values()))["signatures"].items()]
    return "\n".join(lines)


def training(run: Path | None) -> dict:
    """What the folder of the training run says about how the model was trained."""
    known = {}
    for name in ("settings", "command", "finished") if run else ():
        if (run / name).exists():
            known[name] = list(read_lines(run / name))
    return known


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lang", required=True, help="target language")
    parser.add_argument("--lowercase", action="store_true")
    parser.add_argument("--raw-tokenized", action="store_true", help="the corpus comes tokenized")
    parser.add_argument("--command", required=True, help="kept with the results")
    parser.add_argument("--run", type=Path, help="folder of the training run: its settings and command are kept too")
    parser.add_argument("--output", required=True)
    parser.add_argument(
        "--test", nargs=4, action="append", required=True, metavar=("NAME", "GENERATED", "TOKENIZED", "RAW")
    )
    args = parser.parse_args()
    tests = {name: score(*paths, args.lang, args.lowercase, args.raw_tokenized) for name, *paths in args.test}
    report = {"command": args.command, "training": training(args.run), "tests": tests}
    Path(f"{args.output}.tmp").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(f"{args.output}.tmp", args.output)
    print(table(tests, args.lowercase))
    print(f"command: {args.command}")
    print(f"written: {args.output}")


if __name__ == "__main__":
    run_tool(main)
