"""The table of results on Multi30k: every architecture, several seeds, and fairseq's own models beside them.

    python benchmarks/quality.py --raw-dir FOLDER    trains what is missing (hours on a CPU), writes the tables
    python benchmarks/quality.py --table             writes the tables from what is there

Every run is a call of recipes/multi30k/run.sh, which resumes where it was stopped. Its scores are filed in
docs/multi30k.json; the tables in docs/results.md and README.md are made from that file alone. fairseq's models get
the data, updates and schedule of ours, with a learning rate of their own. Rows on diversified data share the pairs that
models of the row rnn_attn and of the other direction made.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "multi30k" / "run.sh"
RECORDS = ROOT / "docs" / "multi30k.json"
END = "<!-- end -->"
TESTS = {"2016": "test_2016_flickr", "2017": "test_2017_flickr", "COCO": "test_2017_mscoco"}


@dataclass
class Row:
    """A row of the table: variables of the recipe, and options of fairseq-train."""

    variables: Dict[str, str]
    options: str = ""


def preset(name: str, options: str = "", **variables: str) -> Row:
    """A preset with the recipe's settings, except for these options and variables."""
    return Row({"ARCH": f"{name}_multi30k", **variables}, options)


def reverse(row: Row) -> Row:
    """The same from German to English; no setting was chosen by this direction."""
    return Row({**row.variables, "SRC": "de", "TGT": "en"}, row.options)


DIVERSE_IN_FULL = {"DIVERSIFY": "1", "TEACHER": "rnn_attn_multi30k"}  # for the recipe's 16,000 updates
DIVERSE = {**DIVERSE_IN_FULL, "MAX_UPDATE": "12000"}
DIVERSE_FOR_LONGER = {**DIVERSE_IN_FULL, "MAX_UPDATE": "20000"}
RISK = {"RISK_UPDATE": "1100"}  # two epochs
ONE_LAYER = "--encoder-layers 1"  # the preset has two
SMALLER = f"{ONE_LAYER} --linear-conv-kernel 0"  # and the preset's short convolution is left out
PLAIN = {"CRITERION": "label_smoothed_cross_entropy"}  # of fairseq's own models
FAIRSEQ_LSTM = Row(
    {"ARCH": "lstm", "LR": "0.002", **PLAIN},
    "--share-all-embeddings --encoder-embed-dim 128 --encoder-hidden-size 256 --encoder-bidirectional "
    "--decoder-embed-dim 128 --decoder-hidden-size 256 --decoder-out-embed-dim 128 --dropout 0.2",
)
FAIRSEQ_TRANSFORMER = Row(  # the sizes of Wu et al. 2021
    {"ARCH": "transformer", "LR": "0.002", "WARMUP": "1000", **PLAIN},
    "--share-all-embeddings --encoder-layers 4 --encoder-embed-dim 128 --encoder-ffn-embed-dim 256 "
    "--encoder-attention-heads 4 --decoder-layers 4 --decoder-embed-dim 128 --decoder-ffn-embed-dim 256 "
    "--decoder-attention-heads 4 --dropout 0.3",
)
ROWS = {
    "rnn_basic": preset("rnn_basic"),
    "rnn_attn": preset("rnn_attn"),
    "rnn_conv_attn": preset("rnn_conv_attn"),
    "rnn_parallel": preset("rnn_parallel"),
    "rnn_parallel + attention": preset("rnn_parallel_attn"),
    "rnn_parallel + conv attention": preset("rnn_parallel_conv_attn"),
    "rnn_attn on diversified data": preset("rnn_attn", **DIVERSE),
    "rnn_conv_attn on diversified data": preset("rnn_conv_attn", **DIVERSE),
    "rnn_parallel + attention (1 encoder layer) on diversified data": preset(
        "rnn_parallel_attn", ONE_LAYER, **DIVERSE
    ),
    "rnn_attn on diversified data + minimum risk": preset("rnn_attn", **DIVERSE, **RISK),
    "rnn_conv_attn on diversified data + minimum risk": preset("rnn_conv_attn", **DIVERSE, **RISK),
    "rnn_parallel + attention (1 encoder layer) on diversified data + minimum risk": preset(
        "rnn_parallel_attn", ONE_LAYER, **DIVERSE, **RISK
    ),
    "rnn_attn on diversified data in full + minimum risk": preset("rnn_attn", **DIVERSE_IN_FULL, **RISK),
    "rnn_conv_attn on diversified data in full + minimum risk": preset("rnn_conv_attn", **DIVERSE_IN_FULL, **RISK),
    "rnn_parallel + attention (smaller) on diversified data in full + minimum risk": preset(
        "rnn_parallel_attn", SMALLER, **DIVERSE_IN_FULL, **RISK
    ),
    "rnn_conv_attn on diversified data for longer + minimum risk": preset(
        "rnn_conv_attn", **DIVERSE_FOR_LONGER, **RISK
    ),
    "rnn_parallel + attention (smaller) on diversified data for longer + minimum risk": preset(
        "rnn_parallel_attn", SMALLER, **DIVERSE_FOR_LONGER, **RISK
    ),
    "fairseq lstm": FAIRSEQ_LSTM,
    "fairseq transformer (tiny)": FAIRSEQ_TRANSFORMER,
    "de-en: rnn_attn": reverse(preset("rnn_attn")),
    "de-en: rnn_conv_attn": reverse(preset("rnn_conv_attn")),
    "de-en: rnn_parallel + attention": reverse(preset("rnn_parallel_attn")),
    "de-en: rnn_attn on diversified data in full + minimum risk": reverse(
        preset("rnn_attn", **DIVERSE_IN_FULL, **RISK)
    ),
    "de-en: fairseq lstm": reverse(FAIRSEQ_LSTM),
    "de-en: fairseq transformer (tiny)": reverse(FAIRSEQ_TRANSFORMER),
}  # fmt: skip

RESULTS, README = ROOT / "docs" / "results.md", ROOT / "README.md"
FORWARD = [name for name in ROWS if not name.startswith("de-en: ")]
TABLES = {  # the rows of each, by its page and the mark before it
    (RESULTS, "<!-- benchmarks/quality.py -->"): FORWARD,
    (README, "<!-- benchmarks/quality.py -->"): [
        name for name in FORWARD if "diversified" not in name or "in full" in name or "for longer" in name
    ],
    (RESULTS, "<!-- benchmarks/quality.py, de-en -->"): [name for name in ROWS if name not in FORWARD],
}


def recipe(args: argparse.Namespace, name: str, seed: int, *stages: str) -> Path:
    """Runs stages of the recipe for a row (default: all) and returns the folder of the run."""
    row = ROWS[name]
    diversified = f".diverse{row.variables['DIVERSIFY']}" if "DIVERSIFY" in row.variables else ""
    updates = f".{row.variables['MAX_UPDATE']}" if "MAX_UPDATE" in row.variables else ""
    pair = f"{row.variables.get('SRC', 'en')}-{row.variables.get('TGT', 'de')}"
    run = f"{pair}.{row.variables['ARCH']}{diversified}{updates}.seed{seed}"
    variables = {"WORK": str(args.work), "SEED": str(seed), "RUN": run, "PYTHON": sys.executable, **row.variables}
    if args.raw_dir:
        variables["RAW_DIR"] = str(args.raw_dir)
    if args.threads:
        variables["OMP_NUM_THREADS"] = str(args.threads)
    options = ["--", *row.options.split()] if row.options else []
    log = args.work / f"{run}.log"
    with open(log, "a") as output:
        done = subprocess.run(
            ["bash", str(RECIPE), *stages, *options], env={**os.environ, **variables}, stdout=output, stderr=output
        )
    if done.returncode:
        raise SystemExit(f"{name}, seed {seed}: the recipe failed, see the end of {log}")
    return args.work / "runs" / run


def record(name: str, seed: int, run: Path) -> Dict[str, Any]:
    """What is filed of a run: scores, size and cost."""
    variables = ROWS[name].variables
    risk = [f"risk{variables['RISK_UPDATE']}"] if "RISK_UPDATE" in variables else []
    # Without minimum risk, or with another number of updates of it, the same run is another row's.
    found = run.glob(f"{risk[0] if risk else 'checkpoint_best'}.beam*/results.json")
    report = json.loads(max(found, key=lambda path: path.stat().st_mtime).read_text())  # earlier ones: another search
    logs = [(run / f"{stage}.log").read_text() for stage in ("train", *risk)]
    updates = [int(re.findall(r"num_updates[ =](\d+)", log)[-1]) for log in logs]
    # Pauses do not count.
    speeds = [statistics.median(float(ups) for ups in re.findall(r"ups=([\d.]+)", log)) for log in logs]
    return {
        "row": name,
        "seed": seed,
        "parameters": int(re.findall(r"num\. shared model params: ([\d,]+)", logs[0])[-1].replace(",", "")),
        "updates": sum(updates),
        "train_minutes": round(sum(count / speed for count, speed in zip(updates, speeds)) / 60, 1),
        "settings": [*(run / "settings").read_text().splitlines(), *[f"RISK_UPDATE={updates[-1]}"] * len(risk)],
        "bleu": {test: report["tests"][split]["bleu_tokenized"] for test, split in TESTS.items()},
        "chrf": {test: report["tests"][split]["chrf"] for test, split in TESTS.items()},
    }


def read_records() -> List[Dict[str, Any]]:
    """What was filed so far."""
    return json.loads(RECORDS.read_text()) if RECORDS.exists() else []


def file_record(new: Dict[str, Any]) -> None:
    """Adds a record, in the place of an older one of the same row and seed."""
    kept = [old for old in read_records() if (old["row"], old["seed"]) != (new["row"], new["seed"])]
    order = list(ROWS)
    records = sorted([*kept, new], key=lambda filed: (order.index(filed["row"]), filed["seed"]))
    RECORDS.write_text(json.dumps(records, indent=1) + "\n")


def mean(numbers: Sequence[float]) -> str:
    """Mean ± standard deviation, or the one number."""
    text = f"{statistics.mean(numbers):.2f}"
    return f"{text} ± {statistics.stdev(numbers):.2f}" if len(numbers) > 1 else text


def table(records: Sequence[Dict[str, Any]], names: Sequence[str]) -> str:
    """The records of these rows as a Markdown table, a line per system."""
    head = ["system", "parameters", "updates", "minutes", "seeds", *[f"BLEU {test}" for test in TESTS], "chrF 2016"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in names:
        runs = [filed for filed in records if filed["row"] == name]
        if not runs:
            continue
        minutes = min(run["train_minutes"] for run in runs)  # other seeds ran on slower machines, or were disturbed
        cells = [
            name,
            f"{runs[0]['parameters'] / 1e6:.2f} M",
            f"{runs[0]['updates']:,}",
            f"{minutes:.0f}",
            str(len(runs)),
        ]
        cells += [mean([run["bleu"][test] for run in runs]) for test in TESTS]
        lines.append("| " + " | ".join([*cells, mean([run["chrf"]["2016"] for run in runs])]) + " |")
    return "\n".join(lines)


def write_tables() -> None:
    """Puts every table between the marks of its page."""
    for (page, begin), names in TABLES.items():
        before, rest = page.read_text().split(f"{begin}\n")
        after = rest[rest.index(END) :]
        page.write_text(f"{before}{begin}\n{table(read_records(), names)}\n{after}")


def rows_named(text: Optional[str]) -> List[str]:
    """The rows of ``--rows``, in its order; all of them without."""
    wanted = text.split(",") if text else [""]
    named = [[start] if start in ROWS else [name for name in ROWS if name.startswith(start)] for start in wanted]
    return list(dict.fromkeys(name for group in named for name in group))


def train_missing(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Trains and scores all seeds of these rows, going on with what is there, and files the results."""
    args.work.mkdir(parents=True, exist_ok=True)
    for name in names:
        recipe(args, name, 0, "download", "prepare", "binarize", "diversify")
    with ThreadPoolExecutor(args.jobs) as pool:
        stages = ("train", "average", "risk", "generate", "score")
        runs = {
            pool.submit(recipe, args, name, int(seed), *stages): (name, int(seed))
            for seed in args.seeds.split(",")
            for name in names
        }
        for run in as_completed(runs):
            filed = record(*runs[run], run.result())
            file_record(filed)
            print(filed["row"], filed["seed"], filed["bleu"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=RECIPE.parent / "work", help="folder for data and runs")
    parser.add_argument(
        "--raw-dir", type=Path, help="folder with Multi30k's files (default: the recipe downloads them)"
    )
    parser.add_argument(
        "--rows", help="comma-separated names of rows, or beginnings of names, in the order to train (default: all)"
    )
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--threads", type=int, help="threads of each run on a CPU (default: all cores)")
    parser.add_argument("--table", action="store_true", help="only write the tables anew")
    args = parser.parse_args()
    if not args.table:
        names = rows_named(args.rows)
        if not names:
            parser.error(f"--rows {args.rows}: no row begins like that; there are {'; '.join(ROWS)}")
        args.work = args.work.resolve()
        train_missing(args, names)
    write_tables()
    print(table(read_records(), list(ROWS)))


if __name__ == "__main__":
    main()
