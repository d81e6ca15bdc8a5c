"""The recipes from download to BLEU, on tiny corpora in the layout of the real ones, without the internet."""

import gzip
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_corpora
import torch
from conftest import ROOT, free_port

RECIPES = ROOT / "recipes"
TINY = {"ARCH": "rnn_attn_tiny", "GLOBAL_TOKENS": 600, "LR": 0.02, "WARMUP": 30, "FREE_MB": 50}


@pytest.fixture(scope="module")
def binarized(raw, tmp_path_factory) -> Path:
    """A WORK that the stages download, prepare and binarize of Multi30k have filled."""
    work = tmp_path_factory.mktemp("recipes") / "100% of R&D"
    with tiny_corpora.Server(raw) as serving:
        serving.cut = {"train.de.gz"}
        done = recipe(work, "download", "prepare", "binarize", MIRROR=serving.url, CHECKSUMS=raw / "CHECKSUMS")
        serving.shutdown()
    assert done.returncode == 0, done.stdout
    half = os.path.getsize(raw / "train.de.gz") // 2
    assert [asked for name, asked in serving.requests if name == "train.de.gz"] == [None, f"bytes={half}-"]
    return work


@pytest.fixture
def work(binarized, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(binarized, tmp_path / "100% of R&D", symlinks=True)


def command(work: Path, *arguments: str, name: str = "multi30k", **variables) -> dict:
    """Arguments of subprocess for ``bash recipes/NAME/run.sh`` with variables and this very Python."""
    keep = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    environment.update(OMP_NUM_THREADS="1", PYTHON=sys.executable, GPUS="0", MERGES="100", WORKERS="1")
    environment.update(WORK=str(work), **{name: str(value) for name, value in variables.items()})
    script = str(RECIPES / name / "run.sh")
    return {"args": ["bash", script, *arguments], "env": environment, "cwd": ROOT}


def recipe(work: Path, *arguments: str, largest_file: int = 0, **variables) -> subprocess.CompletedProcess:
    """Run the recipe to its end; with ``largest_file`` no file can grow beyond so many bytes, as on a full disk."""
    called = command(work, *arguments, **variables)
    if largest_file:
        called["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    return subprocess.run(**called, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)


def refused(result: subprocess.CompletedProcess) -> str:
    """The message of a run that must have failed."""
    assert result.returncode != 0, result.stdout
    assert "Traceback" not in result.stdout
    return next(line for line in result.stdout.splitlines() if "error: " in line)


def sizes(folder: Path, lang: str) -> dict:
    """Number of lines of every split in one language."""
    return {path.stem: path.read_bytes().count(b"\n") for path in folder.glob(f"*.{lang}")}


# --- from download to BLEU ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tiny_corpora.CORPORA)
def test_from_archives_to_bleu(tmp_path, server, name):
    """Every recipe, with nothing changed but the sizes of model and training."""
    made = tiny_corpora.CORPORA[name]()
    server.folder, work = tmp_path / "server", tmp_path / "work"
    tiny_corpora.write_files(made.files, server.folder)
    server.cut = {next(iter(made.files))}
    settings = {**TINY, "MIRROR": server.url, "CHECKSUMS": server.folder / "CHECKSUMS", "MERGES": 60}
    settings.update(MAX_EPOCH=0, MAX_UPDATE=90, SAVE_UPDATES=45, AVERAGE=1)
    result = recipe(work, name=name, **settings)
    assert result.returncode == 0 and "Logging error" not in result.stdout, result.stdout
    assert len(server.requests) == len(made.files) + 1  # one of them was cut
    left, right = (sizes(work / "prep/bpe", lang) for lang in made.langs)
    assert left == right
    if made.kept:
        assert left.pop("train") + left.pop("valid") == made.kept
    assert left == {split: size for split, size in made.pairs.items() if split in left}
    assert set(left) >= set(made.tests)
    for path in (work / "prep/raw").iterdir():
        assert "<" not in path.read_text(errors="replace"), f"{path} still has markup"
    scores = json.loads(next(work.rglob("results.json")).read_text())["tests"]
    assert {test: result["sentences"] for test, result in scores.items()} == {
        test: made.pairs[test] for test in made.tests
    }
    # Some test sets are too short for sentences of four words.
    assert max(result["bleu_tokenized"] for result in scores.values()) > 50, result.stdout
    assert min(result["chrf"] for result in scores.values()) > 30, result.stdout
    # Ending the worker process of a test set would take five seconds each.
    assert next(work.rglob("generate.log")).read_text().count("'num_workers': 0") == len(made.tests)
    again = recipe(work, "download", "prepare", "binarize", "train", "average", "generate", name=name, **settings)
    assert again.returncode == 0 and "\n+ " not in again.stdout


def test_multi30k_killed_in_training_and_resumed(work, raw):
    """A training killed, its checkpoint cut short; then all stages to the scores, and once more."""
    settings = {**TINY, "MIRROR": "http://127.0.0.1:9", "AVERAGE": 2, "KEEP": 2, "CHECKSUMS": raw / "CHECKSUMS"}
    run_dir = work / "runs" / "en-de.rnn_attn_tiny.seed1"
    check_prepared(work)
    kill_in_training(command(work, "train", "--", "--log-interval", "10", MAX_EPOCH=500, **settings), run_dir)
    assert not (run_dir / "finished").exists()

    # As if fairseq had been killed while it copied a checkpoint over the last one.
    reached = max(int(path.stem[10:]) for path in run_dir.glob("checkpoint[0-9]*.pt"))
    os.truncate(run_dir / "checkpoint_last.pt", 1000)
    result = recipe(work, "--", "--log-interval", "10", MAX_EPOCH=reached + 12, **settings)
    assert result.returncode == 0, result.stdout
    assert f"checkpoint_last.pt is now a copy of checkpoint{reached}.pt" in result.stdout.replace("_best", str(reached))
    assert f"begin training epoch {reached + 1}\n" in result.stdout
    assert f"begin training epoch {reached}\n" not in result.stdout
    check_results(result.stdout, run_dir / "averaged_last2.beam5.lenpen1", (12, 9, 5))

    # Everything is there now: nothing is done again, and scoring gives the same.
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
    before = {path: stamp for path, stamp in before.items() if path.suffix not in (".log", ".json")}
    again = recipe(work, "--", "--log-interval", "10", MAX_EPOCH=reached + 12, **settings)
    assert again.returncode == 0, again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert next(line for line in again.stdout.splitlines() if line.startswith("+ ")).split()[2].endswith("score.py")
    assert again.stdout.count("already there") == 8  # seven stages, three test sets, score is always printed

    # The same folder with other options would mix two models.
    message = recipe(work, "train", MAX_EPOCH=1, **{**settings, "LR": 0.01})
    assert refused(message) and "then: LR=0.02" in message.stdout and "now:  LR=0.01" in message.stdout


def test_ctrl_c_leaves_its_message_in_the_log(work):
    run_dir = work / "runs/interrupted"
    kill_in_training(command(work, "train", MAX_EPOCH=500, RUN=run_dir.name, **TINY), run_dir, signal.SIGINT)
    assert "fairseq-train: error: interrupted" in (run_dir / "train.log").read_text().splitlines()[-1]
    assert not (run_dir / "finished").exists()


def kill_in_training(called: dict, run_dir: Path, how: signal.Signals = signal.SIGKILL) -> None:
    """Start a recipe and send all its processes a signal once two epochs are done."""
    # Background jobs of a shell ignore Ctrl-C, and so would what they start.
    called["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    log = run_dir.parent.parent.parent / "first run.log"
    with open(log, "w") as out:
        process = subprocess.Popen(**called, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 600
        while not (run_dir / "checkpoint2.pt").exists():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        os.killpg(process.pid, how)
        process.wait(60)


def check_prepared(work: Path) -> None:
    """Text is lowercased, normalised, tokenized, and both sides have a line for every line."""
    raw_line, line = (
        (work / "prep" / kind / "test_2016_flickr.de").read_text().splitlines() for kind in ("raw", "tok")
    )
    assert raw_line[0].startswith("A “") and raw_line[0].endswith("”.")
    assert line[0] == "a &quot; " + raw_line[0][3:-2].lower() + " &quot; ."
    for split, size in {"train": 500, "valid": 20, "test_2017_mscoco": 5}.items():
        assert sizes(work / "prep/bpe", "en")[split] == sizes(work / "prep/bpe", "de")[split] == size
    assert not list(work.rglob("*.tmp")) and not list(work.rglob("*.part"))
    assert (work / "bin/dict.en.txt").read_bytes() == (work / "bin/dict.de.txt").read_bytes()


def check_results(printed: str, folder: Path, sizes: tuple) -> None:
    """results.json and the printed table agree, all sentences are scored, and the model has learnt."""
    report = json.loads((folder / "results.json").read_text())
    assert [test["sentences"] for test in report["tests"].values()] == list(sizes)
    for name, test in report["tests"].items():
        assert re.search(rf"{name} .*\b{test['bleu_tokenized']:.2f} .*\b{test['sacrebleu']:.2f} ", printed)
        assert test["bleu_tokenized"] > 20 and test["chrf"] > 20, printed
        assert "tok:none" in test["signatures"]["bleu_tokenized"] and "case:lc" in test["signatures"]["sacrebleu"]
    assert report["command"].startswith("ARCH=rnn_attn_tiny") and "bash recipes/multi30k/run.sh" in report["command"]
    assert f"command: {report['command']}" in printed
    assert "--arch rnn_attn_tiny" in report["training"]["command"][0]


@pytest.mark.parametrize("other", ["fr", "cs"])
def test_other_languages_of_multi30k(tmp_path, other):
    """The other direction of another pair, down to fairseq's data, beside English and German in the same folder."""
    made, folder = tiny_corpora.multi30k(other), tmp_path / "raw"
    tiny_corpora.write_files(made.files, folder)
    stages = ("download", "prepare", "binarize")
    settings = {"RAW_DIR": folder, "CHECKSUMS": folder / "CHECKSUMS", "SRC": other, "TGT": "en"}
    result = recipe(tmp_path / "work", *stages, **settings)
    assert result.returncode == 0 and "warning" not in result.stdout, result.stdout
    assert sizes(tmp_path / "work/prep/bpe", "en") == sizes(tmp_path / "work/prep/bpe", other) == made.pairs
    listed = {line.split()[1] for line in (RECIPES / "multi30k/CHECKSUMS").read_text().splitlines()[1:]}
    assert listed >= set(made.files)


def test_diversified_data(work):
    """Teachers of both directions, their pairs beside the corpus', a student trained on all, in the recipe's way."""
    settings = {
        **TINY,
        "DIVERSIFY": 1,
        "MAX_UPDATE": 130,
        "TEACHER_UPDATE": 100,
        "AVERAGE": 1,
        "TEACHER": "rnn_attn_tiny",
        "RISK_UPDATE": 5,
    }
    settings.update(ARCH="rnn_parallel_attn_tiny", SCHEDULE="fixed")
    result = recipe(work, **settings)
    assert result.returncode == 0, result.stdout
    new = {line.split("/")[-3]: int(line.split()[-3]) for line in re.findall(r"/runs/.* new pairs", result.stdout)}
    assert sorted(new) == ["de-en.rnn_attn_tiny.seed1", "en-de.rnn_attn_tiny.seed1"] and all(new.values())
    text = work / "diverse/rnn_attn_tiny.1/text"
    assert sizes(text, "en")["train"] == sizes(text, "de")["train"] == 500 + sum(new.values())
    for lang in ("en", "de"):
        corpus = (work / f"prep/bpe/train.{lang}").read_text()
        assert (text / f"train.{lang}").read_text().startswith(corpus)
        dictionaries = [work / f"{data}/dict.{lang}.txt" for data in ("bin", "diverse/rnn_attn_tiny.1/bin")]
        assert dictionaries[0].read_bytes() == dictionaries[1].read_bytes()
    student = work / "runs/en-de.rnn_parallel_attn_tiny.diverse1.seed1"
    assert "diverse/rnn_attn_tiny.1/bin" in (student / "command").read_text()
    assert "--max-update 130 " in (student / "command").read_text()
    assert "--max-update 100 " in (work / "runs/de-en.rnn_attn_tiny.seed1/command").read_text()
    scores = json.loads((student / "risk5.beam5.lenpen1/results.json").read_text())["tests"]
    assert scores["test_2016_flickr"]["bleu_tokenized"] > 20
    assert [path.parent for path in work.rglob("risk*/finished")] == [student / "risk5"]

    again = recipe(work, **settings)
    assert again.returncode == 0 and "translate_training_text" not in again.stdout
    assert "+ fairseq-train" not in again.stdout
    better = {**settings, "TEACHER_RISK_UPDATE": 4}
    taught = recipe(work, "diversify", **better)
    assert taught.returncode == 0 and taught.stdout.count("num_updates: 4 >= max_update: 4") == 2, taught.stdout
    assert set(sizes(work / "diverse/rnn_attn_tiny.1.risk4/text", "en")) == {"train"}
    other = recipe(work, "--dry-run", "train", **better).stdout
    assert "rnn_attn_tiny.1.risk4/bin " in other and "/runs/en-de.rnn_parallel_attn_tiny.diverse1.risk4.seed1 " in other
    assert "was made with other settings" in refused(recipe(work, "train", **better, RUN=student.name))
    teachers = recipe(work / "new", "--dry-run", "diversify", "--", "--clip-norm", "7", **settings).stdout
    assert teachers.count("+ fairseq-train") == 2 and "--clip-norm 7" not in teachers
    other_teachers = recipe(work, "diversify", **{**settings, "TEACHER_UPDATE": 50})
    assert refused(other_teachers) and "now:  TEACHER_UPDATE=50" in other_teachers.stdout
    plain = recipe(work, "--dry-run", "diversify", "train", **{**settings, "DIVERSIFY": 0}).stdout
    assert "nothing to do: DIVERSIFY=0" in plain
    assert "/runs/en-de.rnn_parallel_attn_tiny.seed1 " in plain and "diverse" not in plain


def test_minimum_risk(work):
    """The trained model is trained on, towards BLEU, beside itself; both can be translated with and scored."""
    settings = {**TINY, "MAX_UPDATE": 100, "AVERAGE": 1, "RISK_UPDATE": 12, "RISK_LR": 0.001}
    result = recipe(work, "train", "average", "risk", "generate", "score", **settings)
    assert result.returncode == 0, result.stdout
    run_dir = work / "runs/en-de.rnn_attn_tiny.seed1"
    command = (run_dir / "risk12/command").read_text()
    assert "--criterion minimum_risk" in command and f"--finetune-from-model {run_dir}" in command.replace("\\", "")
    assert "num_updates: 12 >= max_update: 12" in result.stdout
    assert re.search(r"\| risk 0\.\d", result.stdout)
    assert next(run_dir.glob("risk12.beam5.lenpen1/results.json"))
    work = work.rename(work.with_name("moved"))
    run_dir = work / run_dir.relative_to(run_dir.parents[1])
    again = recipe(work, "train", "average", "risk", "generate", **settings)
    assert again.returncode == 0 and "\n+ " not in again.stdout, again.stdout
    plain = recipe(work, "--dry-run", "risk", "generate", **{**settings, "RISK_UPDATE": 0}).stdout
    assert "nothing to do: RISK_UPDATE=0" in plain and "--path" in plain and "/risk" not in plain
    other = refused(recipe(work, "risk", **{**settings, "RISK_LR": 0.1}))
    assert "was made with other settings" in other
    more = {**settings, "RISK_UPDATE": 15}
    assert "risk15/finished is missing: run the stage risk first" in refused(recipe(work, "generate", **more))
    begun_anew = recipe(work, "--dry-run", "risk", **more).stdout
    assert f"{run_dir}/risk15 " in begun_anew and f"--finetune-from-model {run_dir}/averaged" in begun_anew
    (run_dir / "risk12/finished").rename(run_dir / "risk12/hidden")
    assert "risk12/finished is missing: run the stage risk first" in refused(recipe(work, "generate", **settings))
    os.utime(run_dir / "averaged_last1.pt")
    assert "began with an older model" in refused(recipe(work, "risk", **settings))


def test_two_processes_train_what_one_trains(work):
    """Two CPU nodes with the gloo backend give the losses of one that accumulates two batches."""
    settings = {**TINY, "MAX_UPDATE": 8, "WARMUP": 2, "GLOBAL_TOKENS": 1200, "MAX_TOKENS": 600}
    extra = ("--", "--log-interval", "1")
    single = recipe(work, "train", *extra, RUN="one", **settings).stdout
    settings.update(NODES=2, MASTER_PORT=free_port(), RUN="two")
    nodes = [command(work, "train", *extra, NODE_RANK=rank, **settings) for rank in (0, 1)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [subprocess.Popen(**node, **output) for node in nodes]
    outputs = [process.communicate(timeout=900)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert "--update-freq 2" in single and "--update-freq 1" in outputs[0]
    losses = [[float(loss) for loss in re.findall(r" loss=([\d.]+), nll_loss", log)] for log in (single, outputs[0])]
    assert len(losses[0]) == 8 and losses[0][-1] < losses[0][0]
    assert losses[1] == pytest.approx(losses[0], abs=0.0011)  # printed with three decimals
    one, two = (torch.load(work / f"runs/{run}/checkpoint_last.pt", weights_only=True) for run in ("one", "two"))
    assert mean_loss(two) == pytest.approx(mean_loss(one), abs=1e-4)
    for name, tensor in one["model"].items():
        torch.testing.assert_close(two["model"][name], tensor, rtol=0, atol=1e-4)


def mean_loss(checkpoint: dict) -> float:
    """Mean training loss of all updates until then."""
    meters = {name: state for _, name, _, state in checkpoint["extra_state"]["metrics"]["train"]}
    return float(meters["loss"]["sum"]) / float(meters["loss"]["count"])


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_wrong_checksum_is_refused(tmp_path, raw, server):
    bad = tmp_path / "bad"
    shutil.copytree(raw, bad)
    (bad / "val.en.gz").write_bytes(b"something else")
    server.folder = bad
    result = recipe(tmp_path / "net", "download", MIRROR=server.url, CHECKSUMS=raw / "CHECKSUMS")
    assert "wrong checksum of" in refused(result) and "val.en.gz" in refused(result)
    assert (tmp_path / "net/raw/train.de.gz").exists() and not list(tmp_path.glob("net/raw/val.en.gz*"))
    result = recipe(tmp_path / "local", "download", RAW_DIR=bad, CHECKSUMS=raw / "CHECKSUMS")
    assert "wrong checksum of" in refused(result) and "RAW_DIR" in refused(result)


def test_files_of_another_folder_are_not_passed_over(tmp_path, raw):
    """What an earlier run has brought stays only if it is the same; equal copies are."""
    work, other = tmp_path / "work", tmp_path / "other"
    shutil.copytree(raw, other)
    for folder in (raw, other):
        result = recipe(work, "download", RAW_DIR=folder, CHECKSUMS="none")
        assert result.returncode == 0, result.stdout
    (other / "val.en.gz").write_bytes(gzip.compress(b"something else\n"))
    message = refused(recipe(work, "download", RAW_DIR=other, CHECKSUMS="none"))
    assert f"{work}/raw/val.en.gz is not the file in RAW_DIR={other}: set WORK to another folder" in message


def test_misaligned_sides_are_refused_with_their_names(tmp_path, raw):
    bad = tmp_path / "bad"
    shutil.copytree(raw, bad)
    lines = gzip.decompress((bad / "val.de.gz").read_bytes()).splitlines(keepends=True)
    (bad / "val.de.gz").write_bytes(gzip.compress(b"".join(lines[:-1])))
    result = recipe(tmp_path / "work", "download", "prepare", RAW_DIR=bad, CHECKSUMS="none")
    message = refused(result)
    assert "valid.en has 20 lines" in message and "valid.de has 19" in message


def test_full_disk_while_downloading_and_preparing(tmp_path, raw, server):
    settings = {"MIRROR": server.url, "CHECKSUMS": raw / "CHECKSUMS"}
    message = refused(recipe(tmp_path, "download", largest_file=4096, **settings))
    assert re.search(r"cannot write .*/raw/train.en.gz.part: File too large; make room, or set WORK", message)
    assert [name for name, _ in server.requests] == ["train.en.gz"]  # trying again would not help
    assert recipe(tmp_path, "download", **settings).returncode == 0
    assert ("train.en.gz", "bytes=4096-") in server.requests
    message = refused(recipe(tmp_path, "prepare", largest_file=8192, **settings))
    assert re.search(r"cannot write .*/train.en: File too large; make room", message)
    assert not (tmp_path / "prep/raw").exists() and not list(tmp_path.rglob("*.en.tmp"))
    largest = max(len(gzip.decompress((raw / f"train.{lang}.gz").read_bytes())) for lang in ("en", "de"))
    message = refused(recipe(tmp_path, "prepare", largest_file=largest + 100, **settings))
    assert re.search(r"cannot write .*/prep/tok/train.en: File too large; make room", message)
    assert recipe(tmp_path, "prepare", **settings).returncode == 0
    assert sizes(tmp_path / "prep/bpe", "en")["train"] == 500


def test_full_disk_while_training(work):
    settings = {**TINY, "MAX_EPOCH": 1, "RUN": "full"}
    failed = recipe(work, "train", largest_file=60000, **settings)
    assert failed.returncode != 0 and "the stage stopped at the command above" in failed.stdout.splitlines()[-1]
    assert not (work / "runs/full/finished").exists()
    mended = recipe(work, "train", **settings)
    assert mended.returncode == 0, mended.stdout
    assert torch.load(work / "runs/full/checkpoint_last.pt", weights_only=True)["model"]
    message = refused(recipe(work, "average", largest_file=20000, AVERAGE=1, **settings))
    assert re.search("cannot write .*/full/averaged_last1.pt: File too large; make room", message)
    assert not list(work.rglob("*.tmp"))
