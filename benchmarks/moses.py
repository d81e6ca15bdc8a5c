"""How much sacremoses, which the recipes use, differs from Moses' Perl scripts, which published results used.

Usage:
    python benchmarks/moses.py --scripts FOLDER recipes/multi30k/work/prep/raw/*.en recipes/multi30k/work/prep/raw/*.de

FOLDER holds Moses' scripts: ``scripts/tokenizer`` of github.com/moses-smt/mosesdecoder, or ``src/mosestokenizer`` of
PyPI's source package mosestokenizer (``pip download --no-deps --no-binary :all: mosestokenizer``, unpacked). Perl is
needed. Every step gets the same untouched lines (detokenizing those that sacremoses tokenized), so that differences
do not add up. The language of a file is the last part of its name.
"""

import argparse
import difflib
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "recipes/lib"))
import text
from files import RecipeError, read_lines, run_tool

# Step of the recipes: names of Moses' script, its options.
SCRIPTS = {
    "normalize": (("normalize-punctuation.perl",), ("-l", "LANGUAGE")),
    "tokenize": (("tokenizer.perl", "tokenizer-v1.1.perl"), ("-q", "-l", "LANGUAGE")),
    "tokenize-dash": (("tokenizer.perl", "tokenizer-v1.1.perl"), ("-q", "-a", "-l", "LANGUAGE")),
    "detokenize": (("detokenizer.perl",), ("-q", "-l", "LANGUAGE")),
    "lowercase": (("lowercase.perl",), ()),
    "printable": (("remove-non-printing-char.perl",), ()),
}


def perl(folder: Path, step: str, language: str, lines: list[str]) -> list[str] | None:
    """What Moses' script makes of the lines; None where the folder does not have it."""
    names, options = SCRIPTS[step]
    script = next((folder / name for name in names if (folder / name).is_file()), None)
    if script is None:
        return None
    command = ["perl", str(script), *(language if option == "LANGUAGE" else option for option in options)]
    result = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, encoding="utf-8")
    output = result.stdout.split("\n")[:-1]
    if result.returncode or len(output) != len(lines):
        message = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise RecipeError(f"{' '.join(command)} made {len(output)} lines of {len(lines)}: {message}")
    return output


def ours(step: str, language: str, lines: list[str]) -> list[str]:
    """What the recipes make of the lines."""
    return text.detokenize(lines, language) if step == "detokenize" else [*map(text.step(step, language), lines)]


def changes(theirs: str, mine: str) -> list[str]:
    """The words in which two versions of a line differ, as "theirs -> ours"."""
    left, right = theirs.split(), mine.split()
    blocks = difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    return [f"{' '.join(left[a:b])} -> {' '.join(right[c:d])}" for kind, a, b, c, d in blocks if kind != "equal"]


def compare(folder: Path, step: str, language: str, lines: list[str], examples: int) -> None:
    """Print how many lines differ in words, and the commonest differences."""
    if step == "detokenize":
        lines = ours("tokenize", language, lines)
    theirs = perl(folder, step, language, lines)
    if theirs is None:
        print(f"{language}  {step:13}  not in {folder}")
        return
    pairs = [(a, b) for a, b in zip(theirs, ours(step, language, lines)) if a.split() != b.split()]
    print(f"{language}  {step:13}  {len(pairs):6} of {len(lines)} lines differ ({len(pairs) / len(lines):.3%})")
    counts = Counter(change for pair in pairs for change in changes(*pair))
    for change, count in counts.most_common(examples):
        print(f"      {count:6} × {change}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", type=Path, required=True, help="folder of Moses' Perl scripts")
    parser.add_argument("--examples", type=int, default=3, help="differences to print of each step")
    parser.add_argument("files", nargs="+", type=Path, help="plain text, named NAME.LANGUAGE")
    args = parser.parse_args()
    if not any((args.scripts / name).is_file() for names, _ in SCRIPTS.values() for name in names):
        raise RecipeError(f"--scripts {args.scripts}: no Perl scripts of Moses there")
    lines = defaultdict(list)
    for path in args.files:
        lines[path.suffix[1:]] += read_lines(path)
    for language in sorted(lines):
        for step in SCRIPTS:
            compare(args.scripts, step, language, lines[language], args.examples)


if __name__ == "__main__":
    run_tool(main)
