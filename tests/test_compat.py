"""Every mend of the package compat, at work in fairseq's own commands; each test fails without its mend."""

import os
import shutil
import socket
import sys

import numpy as np
import pytest
import torch
from conftest import SIZES, TRAIN_TINY, start_fairseq
from fairseq import checkpoint_utils, utils
from fairseq.data import Dictionary, TokenBlockDataset, data_utils
from hydra._internal.utils import run_and_report

from rnn_s2s_plugin.compat import versions
from rnn_s2s_plugin.errors import UsageError

TINY_LSTM = (
    "--arch lstm --encoder-embed-dim 16 --encoder-hidden-size 16 "
    "--decoder-embed-dim 16 --decoder-hidden-size 16 --decoder-out-embed-dim 16"
).split()
SHORT = ("--max-len-b", "12")  # a model that has learnt nothing does not know when to stop


# --- versions ------------------------------------------------------------------------------------------


def test_unknown_fairseq_version_is_reported_in_one_line(monkeypatch, caplog):
    versions.warn_about_unknown_fairseq()
    assert not caplog.records
    monkeypatch.setattr(versions.fairseq, "__version__", "0.13.0\n")
    versions.warn_about_unknown_fairseq()
    assert [record.getMessage() for record in caplog.records] == [
        "fairseq 0.13.0 is not a version this plugin was tested with (0.12.3.1)"
    ]


def test_token_blocks_of_whole_sentences_work_on_numpy_2():
    sentences = [torch.tensor([5, 6, 2]), torch.tensor([7, 2])]
    blocks = TokenBlockDataset(sentences, [3, 2], block_size=None, pad=1, eos=2, break_mode="eos")
    assert [block.tolist() for block in blocks] == [[5, 6, 2], [7, 2]]


# --- messages ------------------------------------------------------------------------------------------


def shown_by_excepthook(error: Exception, capsys) -> str:
    sys.excepthook(type(error), error, error.__traceback__)
    return capsys.readouterr().err


def test_usage_errors_are_shown_as_one_sentence_and_others_as_before(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/fairseq-train"])
    sentence = shown_by_excepthook(UsageError("--cell gruu is unknown"), capsys)
    assert sentence == "fairseq-train: error: --cell gruu is unknown\n"
    assert shown_by_excepthook(ValueError("something else"), capsys).endswith("ValueError: something else\n")


def test_usage_errors_of_child_processes_are_shown_as_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fairseq-train"])
    text = "\n-- Process 1 terminated with the following error:\nTraceback (most recent call last):\n  File …\n"
    text += "rnn_s2s_plugin.errors.UsageError: --cell gruu is unknown\n"
    error = torch.multiprocessing.ProcessRaisedException(text, 1, 1)
    assert shown_by_excepthook(error, capsys) == "fairseq-train: error: --cell gruu is unknown\n"


def test_lost_process_is_shown_as_one_sentence(capsys):
    text = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1"
    assert "another process of this training has ended" in shown_by_excepthook(RuntimeError(text), capsys)
    child = torch.multiprocessing.ProcessRaisedException(f"Traceback\nRuntimeError: {text}", 1, 1)
    assert "another process of this training has ended" in shown_by_excepthook(child, capsys)
    assert shown_by_excepthook(RuntimeError("Connection closed"), capsys).endswith("RuntimeError: Connection closed\n")


def test_usage_errors_under_hydra_are_shown_without_traceback(capsys):
    """fairseq-hydra-train hands its exceptions to this function of hydra's."""

    def job():
        raise UsageError("--cell gruu is unknown")

    with pytest.raises(SystemExit) as caught:
        run_and_report(job)
    assert caught.value.code == 1
    errors = capsys.readouterr().err
    assert errors.startswith("--cell gruu is unknown\n") and "Traceback" not in errors


def test_command_ends_with_one_sentence_and_exit_code_1(fairseq_process, corpus, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    result = fairseq_process("generate", corpus.data, "--path", tmp_path / "checkpoint.pt")
    assert result.returncode == 1
    assert "Traceback" not in result.output
    assert result.output.splitlines()[-1].startswith(f"fairseq-generate: error: checkpoint {tmp_path}")
    assert "Warning" not in result.output  # silence_warnings_about_fairseq


@pytest.mark.parametrize("command", ["train", "generate", "validate"])
@pytest.mark.parametrize("languages", [(), ("-s", "src", "-t", "tgt")])
def test_missing_data_folder_is_named(command, languages, fairseq, checkpoint, tmp_path):
    args = [*TRAIN_TINY, "--save-dir", tmp_path] if command == "train" else ["--path", checkpoint]
    with pytest.raises(UsageError, match="data folder /no/data: .*fairseq-preprocess"):
        fairseq(command, "/no/data", *args, *languages, "--max-tokens", 400)


def test_data_folder_without_data_is_named(fairseq, checkpoint, tmp_path):
    with pytest.raises(UsageError, match=f"{tmp_path} holds no files named"):
        fairseq("generate", tmp_path, "--path", checkpoint)


def test_missing_split_is_named(fairseq, corpus, checkpoint):
    with pytest.raises(UsageError, match="test2017 .*--gen-subset"):
        fairseq("generate", corpus.data, "--path", checkpoint, "--gen-subset", "test2017")


# --- checkpoints ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", [[], TINY_LSTM], ids=["rnn_attn", "lstm"])
def test_checkpoints_load_and_training_resumes(architecture, train, fairseq, corpus, tmp_path):
    """With what fairseq can put into a checkpoint: options, BLEU counts in numpy arrays, averaged weights."""
    options = [
        *architecture,
        "--eval-bleu",
        "--eval-bleu-args",
        '{"beam": 2}',
        "--best-checkpoint-metric",
        "bleu",
    ]
    options += [
        "--maximize-best-checkpoint-metric",
        "--store-ema",
        "--ema-fp32",
        "--amp",
        "--no-epoch-checkpoints",
    ]
    train(tmp_path, *options)
    path = tmp_path / "checkpoint_last.pt"
    torch.load(path, weights_only=True)
    checkpoint_utils.load_ema_from_checkpoint(str(path))

    result = train(tmp_path, *options, "--max-epoch", 2)
    assert f"Loaded checkpoint {path} (epoch 2 @ " in result.output
    assert [entry["epoch"] for entry in result.log("train_loss")] == [2]
    assert len(fairseq("generate", corpus.data, "--path", path, *SHORT).field("H")) == SIZES["test"]


class RunsCode:
    """What a malicious checkpoint would hold: unpickled without care it calls ``os.mkdir``."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def spoil(kind: str, checkpoint, path) -> None:
    if kind == "truncated":
        path.write_bytes(checkpoint.read_bytes()[:20000])
    elif kind == "overwritten":
        content = checkpoint.read_bytes()
        path.write_bytes(content[:300] + bytes(200) + content[500:])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a checkpoint\n")
    elif kind == "other":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "malicious":
        torch.save({"args": RunsCode(path.parent / "code was run")}, path)


@pytest.mark.parametrize("kind", ["truncated", "overwritten", "empty", "text", "other", "malicious"])
def test_unusable_checkpoint_is_named_in_one_sentence(kind, checkpoint, tmp_path):
    path = tmp_path / "checkpoint_last.pt"
    spoil(kind, checkpoint, path)
    with pytest.raises(UsageError) as caught:
        checkpoint_utils.load_checkpoint_to_cpu(str(path))
    reason = "posix.mkdir, that is not allowed" if kind == "malicious" else "is damaged, incomplete or not"
    assert str(caught.value).startswith(f"checkpoint {path} ") and reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "code was run").exists()


@pytest.mark.parametrize("command", ["train", "generate", "interactive", "validate", "eval_lm"])
def test_every_command_names_the_truncated_checkpoint(command, fairseq, corpus, checkpoint, tmp_path):
    path = tmp_path / "checkpoint_last.pt"
    spoil("truncated", checkpoint, path)
    args = {"train": [*TRAIN_TINY, "--save-dir", tmp_path], "validate": ["--path", path, "--max-tokens", 400]}
    data = corpus.data
    if command == "eval_lm":  # reads dict.txt before the checkpoint
        data = tmp_path
        shutil.copy(corpus.data / "dict.tgt.txt", data / "dict.txt")
    with pytest.raises(UsageError, match=f"checkpoint {path} is damaged, incomplete"):
        fairseq(command, data, *args.get(command, ["--path", path]))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_checkpoint_is_named(checkpoint, tmp_path):
    path = shutil.copy(checkpoint, tmp_path)
    os.chmod(path, 0)
    with pytest.raises(UsageError, match=r"cannot be read \(Permission denied\)"):
        checkpoint_utils.load_checkpoint_to_cpu(path)


def test_missing_checkpoint_is_named(fairseq, corpus):
    with pytest.raises(UsageError, match="checkpoint /no/model.pt does not exist"):
        fairseq("generate", corpus.data, "--path", "/no/model.pt")


def test_resuming_with_other_sizes_names_checkpoint_and_weight(train, checkpoint, tmp_path):
    shutil.copy(checkpoint, tmp_path)
    with pytest.raises(UsageError, match=r"(?s)another architecture.*\(size mismatch for .*another --save-dir"):
        train(tmp_path, "--decoder-hidden-size", 24)


def test_start_that_is_not_there_is_refused(train, tmp_path):
    for option in ("--restore-file", "--finetune-from-model", "--continue-once"):
        with pytest.raises(UsageError, match=f"{option} no-such.pt does not exist"):
            train(tmp_path, option, "no-such.pt")
    assert "Loaded checkpoint" not in train(tmp_path, "--restore-file", "checkpoint_last.pt", "--no-save").output


def test_contradicting_starts_are_refused(train, checkpoint, tmp_path):
    with pytest.raises(UsageError, match="--finetune-from-model can not be set together with"):
        train(tmp_path, "--finetune-from-model", checkpoint, "--reset-optimizer")
    with pytest.raises(UsageError, match="--finetune-from-model and --restore-file"):
        train(tmp_path, "--finetune-from-model", checkpoint, "--restore-file", checkpoint)


@pytest.mark.parametrize("options", [["--optimizer", "nag"], ["--criterion", "label_smoothed_cross_entropy"]])
def test_resuming_with_another_optimizer_or_criterion_is_explained(options, train, checkpoint, tmp_path):
    shutil.copy(checkpoint, tmp_path)
    with pytest.raises(UsageError, match=r"checkpoint .* does not match; please reset the optimizer"):
        train(tmp_path, *options)


def test_training_in_two_processes_resumes(corpus, checkpoint, tmp_path):
    """Only the first process reads the checkpoint; the second one gets it sent."""
    shutil.copy(checkpoint, tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    options = "--max-epoch 2 --no-save --distributed-world-size 2 --distributed-no-spawn --distributed-backend gloo"
    options += f" --ddp-backend legacy_ddp --distributed-init-method {address} --save-dir {tmp_path}"
    processes = [
        start_fairseq("train", corpus.data, *TRAIN_TINY, *options.split(), "--distributed-rank", rank)
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "Loaded checkpoint" in outputs[0] and '"epoch": 2' in outputs[0]


# --- data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 21, 100])
def test_batches_hold_every_sentence_once_and_in_order(size, multiple):
    lengths = np.arange(size) % 5 + 1
    for limits in ({"max_tokens": 60}, {"max_sentences": 16}):
        batches = data_utils.batch_by_size(
            iter(range(size)), lambda i: lengths[i], lengths, required_batch_size_multiple=multiple, **limits
        )
        assert [index for batch in batches for index in batch] == list(range(size))


def test_no_command_loses_sentences(train, fairseq, corpus, checkpoint, tmp_path):
    [entry] = train(tmp_path).log("train_loss")
    sentences = float(entry["train_bsz"]) * float(entry["train_num_updates"])  # the batch size is rounded
    assert abs(sentences - SIZES["train"]) < 1
    result = fairseq("validate", corpus.data, "--path", checkpoint, "--max-tokens", 400, "--log-format", "json")
    assert [entry["valid_bsz"] for entry in result.log("valid_bsz")] == [str(SIZES["valid"])]
    result = fairseq("generate", corpus.data, "--path", checkpoint, *SHORT)
    assert sorted(result.field("H")) == list(range(SIZES["test"]))
    assert f"Translated {SIZES['test']} sentences" in result.output


# --- options -------------------------------------------------------------------------------------------


def test_bf16_trains_on_cpu_and_resumes(train, tmp_path):
    train(tmp_path, "--bf16")
    state = torch.load(tmp_path / "checkpoint_last.pt")
    assert {weight.dtype for weight in state["model"].values()} == {torch.float32}  # saved by move_to_cpu
    result = train(tmp_path, "--bf16", "--max-epoch", 2)
    assert float(result.log("train_loss")[0]["train_loss"]) < 10


@pytest.mark.parametrize("architecture", ("rnn_attn_tiny", "lstm"))
def test_amp_on_a_cpu_computes_in_bfloat16(architecture, train, tmp_path, monkeypatch):
    """Parameters and what is saved stay float32. fairseq's own models too."""
    seen = set()
    linear = torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *args: seen.add((y := linear(*args)).dtype) or y)
    options = TINY_LSTM if architecture == "lstm" else ("--arch", architecture)
    train(tmp_path, *options, "--amp", "--disable-validation")
    assert torch.bfloat16 in seen
    state = torch.load(tmp_path / "checkpoint_last.pt")
    assert {weight.dtype for weight in state["model"].values()} == {torch.float32}


def test_processes_without_devices_are_refused(train, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="--distributed-world-size 2"):
        train(tmp_path, "--distributed-world-size", 2)


@pytest.mark.parametrize("arguments", [["--fp16"], ["--fp16", "--memory-efficient-fp16"]])
def test_fp16_on_cpu_is_one_sentence_and_the_other_kind_trains(arguments, train, tmp_path):
    if len(arguments) == 1:
        with pytest.raises(UsageError, match="--fp16 needs a CUDA device"):
            train(tmp_path, *arguments)
    else:
        assert train(tmp_path, *arguments).log("train_loss")


@pytest.mark.parametrize("architecture", [[], TINY_LSTM], ids=["rnn_attn", "lstm"])
def test_batch_buckets_train(architecture, train, tmp_path):
    result = train(tmp_path, *architecture, "--num-batch-buckets", 3, "--no-save")
    assert "bucketing source lengths" in result.output and result.log("train_loss")


# --- generation ----------------------------------------------------------------------------------------


def test_diverse_beam_groups_do_not_depend_on_the_batch(fairseq, corpus, checkpoint):
    options = ["--path", checkpoint, "--beam", 4, "--diverse-beam-groups", 2, *SHORT]
    outputs = [fairseq("generate", corpus.data, *options, "--nbest", 4, "--batch-size", size).output for size in (1, 7)]
    hypotheses = [
        sorted(line.split("\t")[::2] for line in output.splitlines() if line.startswith("H-")) for output in outputs
    ]
    assert len(hypotheses[0]) == 4 * SIZES["test"]
    assert hypotheses[0] == hypotheses[1]


def test_print_step_prints_the_number_of_tokens(fairseq, corpus, checkpoint):
    result = fairseq("generate", corpus.data, "--path", checkpoint, "--print-step", *SHORT)
    assert {i: int(steps) for i, steps in result.field("I").items()} == {
        i: len(scores.split()) for i, scores in result.field("P").items()
    }


@pytest.mark.parametrize(
    "alignment",
    [
        [(2, 0), (0, 1), (1, 2)],
        [
            ["0.1", "0.2", "0.7", "0.0"],
            ["0.8", "0.1", "0.1", "0.0"],
            ["0.3", "0.4", "0.3", "0.0"],
            ["0.0"] * 4,
        ],
        torch.tensor([2, 0, 1]),
    ],
    ids=["hard", "soft", "positions"],
)
def test_replace_unk_takes_every_kind_of_alignment(alignment):
    replaced = utils.replace_unk("<unk> B <unk>", "one two three", alignment, {"three": "DREI"}, "<unk>")
    assert replaced == "DREI B two"


@pytest.mark.parametrize("alignment", [[], ["--print-alignment", "hard"], ["--print-alignment", "soft"]])
def test_replace_unk_copies_source_words(alignment, fairseq, corpus, checkpoint, tmp_path):
    """A model that prefers <unk> to everything, on raw text, as --replace-unk demands."""
    for name in os.listdir(corpus.data):
        if name.startswith("dict."):
            shutil.copy(corpus.data / name, tmp_path)
    for language in ("src", "tgt"):
        shutil.copy(corpus.raw / f"test.{language}", tmp_path / f"test.src-tgt.{language}")
    always_unknown(checkpoint, corpus, tmp_path / "unk.pt")
    options = ["--path", tmp_path / "unk.pt", "--dataset-impl", "raw", "--replace-unk", *SHORT]
    result = fairseq("generate", tmp_path, *options, *alignment)
    sources, hypotheses = corpus.lines("test", "src"), result.field("H")
    assert len(hypotheses) == SIZES["test"]
    for i, hypothesis in hypotheses.items():
        assert set(hypothesis.split("\t")[-1].split()) <= {*sources[i].split(), "<eos>"}, i


def always_unknown(checkpoint, corpus, path) -> None:
    """A checkpoint that prefers <unk> to every word."""
    state = torch.load(checkpoint)
    unk = Dictionary.load(str(corpus.data / "dict.tgt.txt")).unk()
    state["model"]["decoder.output.bias"][unk] += 100
    torch.save(state, path)


def test_replace_unk_finds_words_before_it_joins_subwords(monkeypatch):
    """Positions are those of subwords: "B@@ B" are two."""
    dictionary = Dictionary()
    tokens = torch.tensor([dictionary.add_symbol(word) for word in ("B@@", "B")] + [dictionary.unk()])
    _, text, _ = utils.post_process_prediction(
        hypo_tokens=tokens, src_str="one two three", alignment=[(0, 0), (0, 1), (2, 2)], align_dict={"three": "DREI"},
        tgt_dict=dictionary, remove_bpe="@@ ",
    )  # fmt: skip
    assert text == "BB DREI"


@pytest.mark.parametrize("subwords", [[], ["--post-process", "@@ "]])
def test_interactive_copies_unknown_words_as_they_were_typed(subwords, fairseq, corpus, checkpoint, tmp_path):
    always_unknown(checkpoint, corpus, tmp_path / "unk.pt")
    (tmp_path / "lines").write_text("eleven\ntwel@@ ve\nthirteen\n")
    options = ["--path", tmp_path / "unk.pt", "--input", tmp_path / "lines", "--max-len-b", 1, "--replace-unk"]
    result = fairseq("interactive", corpus.data, *options, *subwords, "--buffer-size", 3, "--batch-size", 2)
    words = {number: set(line.split("\t")[-1].split()) for number, line in result.field("H").items()}
    assert words[0] <= {"eleven", "<eos>"} and words[2] <= {"thirteen", "<eos>"} and len(words) == 3
    assert words[1] and "<unk>" not in words[1]
    assert not subwords or "@@" not in result.field("H")[1]


def test_soft_alignments_of_interactive_are_those_of_generate(fairseq, corpus, checkpoint):
    options = ["--path", checkpoint, "--print-alignment", "soft", *SHORT]
    alone = fairseq("interactive", corpus.data, *options, "--input", corpus.raw / "test.src").field("A")
    assert alone == fairseq("generate", corpus.data, *options, "--batch-size", 1).field("A")
    hard = fairseq("interactive", corpus.data, *options[:2], "--print-alignment", "--input", corpus.raw / "test.src")
    assert all("-" in pairs and "," not in pairs for pairs in hard.field("A").values())


BAD_LINES = {
    "not UTF-8": b"one \xff\xfe three",
    "cut in a character": "dr\u00fc".encode()[:-1],
    "empty": b"",
    "blank": b"  \t ",
    "too long": b"one " * 2000,
    "control characters": b"\x00\x07 \x1b[31m one",
    "other line ends": "one\u2028two\x85three".encode(),
    "carriage return": b"one\r",
    "special words": b"<pad> <s> </s> <unk> one <pad>",
    "nothing but padding": b"<pad>",
    "unknown words": b"x y z",
    "emoji and combining": "\U0001f600 e\u0301".encode(),
    "byte order mark": b"\xef\xbb\xbfone",
}


@pytest.mark.parametrize("buffer", [1, 4])
def test_interactive_survives_bad_lines(buffer, fairseq, corpus, checkpoint, tmp_path):
    """A good line after each: every line that can be translated is, under its own number."""
    lines = [line for bad in BAD_LINES.values() for line in (bad, b"one two")]
    (tmp_path / "lines").write_bytes(b"".join(line + b"\n" for line in lines))
    options = ["--path", checkpoint, "--input", tmp_path / "lines", "--buffer-size", buffer, "--batch-size", buffer]
    result = fairseq("interactive", corpus.data, *options, *SHORT)
    hypotheses = result.field("H")
    assert set(range(len(lines))) - set(hypotheses) == {2 * list(BAD_LINES).index("too long")}
    assert len({hypotheses[number].split("\t")[1] for number in range(1, len(lines), 2)}) == 1
    assert "line 1 is not UTF-8" in result.output and "a line of 2000 words is not translated" in result.output


def test_interactive_serves_on_after_bad_lines_on_its_input(fairseq_process, corpus, checkpoint, tmp_path):
    with open(tmp_path / "lines", "wb") as file:
        file.write(b"\xff\n" + b"one " * 2000 + b"\none two\n")
    with open(tmp_path / "lines", "rb") as stdin:
        process = start_fairseq("interactive", corpus.data, "--path", checkpoint, *SHORT, stdin=stdin)
        output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert sum(line.startswith("H-") for line in output.splitlines()) == 2 and "\nH-2" in output


def test_alignment_without_attention_is_refused(train, fairseq, corpus, tmp_path):
    train(tmp_path, "--arch", "rnn_basic")
    for option in ("--print-alignment", "--replace-unk"):
        with pytest.raises(UsageError, match="--print-alignment and --replace-unk need a model with attention"):
            fairseq(
                "interactive",
                corpus.data,
                "--path",
                tmp_path / "checkpoint_last.pt",
                option,
                "--input",
                corpus.raw / "test.src",
            )


def test_language_model_trains_scores_and_joins_translation(train, fairseq, corpus, checkpoint, tmp_path):
    """The dictionary of a language model must lie as dict.txt beside the translation data."""
    prefixes = [f"--{split}pref={corpus.raw / split}.tgt" for split in SIZES]
    data, model = tmp_path / "data", tmp_path / "model" / "checkpoint_last.pt"
    fairseq("preprocess", "--only-source", *prefixes, "--destdir", data, "--srcdict", corpus.data / "dict.tgt.txt")

    options = [
        "--task",
        "language_modeling",
        "--arch",
        "lstm_lm",
        "--sample-break-mode",
        "eos",
        "--optimizer",
        "adam",
    ]
    options += [
        "--decoder-embed-dim",
        16,
        "--decoder-hidden-size",
        16,
        "--decoder-out-embed-dim",
        16,
        "--lr",
        0.01,
    ]
    fairseq("train", data, *options, "--max-tokens", 400, "--max-epoch", 1, "--save-dir", model.parent)
    result = fairseq("eval_lm", data, "--path", model, "--sample-break-mode", "eos")
    assert "Perplexity" in result.output
    with pytest.raises(UsageError, match="test2017 .*--gen-subset"):
        fairseq("eval_lm", data, "--path", model, "--gen-subset", "test2017")

    fusion = ["--path", checkpoint, "--lm-path", model, "--lm-weight", 0.1, *SHORT]
    with pytest.raises(UsageError, match="dict.txt cannot be read .*target language's dictionary"):
        fairseq("generate", corpus.data, *fusion)
    both = shutil.copytree(corpus.data, tmp_path / "both")
    shutil.copy(both / "dict.tgt.txt", both / "dict.txt")
    assert len(fairseq("generate", both, *fusion).field("H")) == SIZES["test"]


def test_no_text_command_imports_torchaudio(fairseq, corpus, checkpoint):
    """fairseq asks for it, but a torchaudio that does not fit the PyTorch installed cannot be imported."""
    fairseq("interactive", corpus.data, "--path", checkpoint, "--input", corpus.raw / "test.src", *SHORT)
    assert "torchaudio" not in sys.modules
