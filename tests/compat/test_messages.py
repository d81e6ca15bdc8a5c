"""Errors that a user can mend are one sentence, whatever runs the command. Each test fails without its mend."""

import re
import subprocess
import sys

import pytest
import torch
from conftest import TRAIN_TINY, start_fairseq
from fairseq.dataclass.initialize import add_defaults
from fairseq.sequence_generator import SequenceGenerator
from hydra._internal.utils import run_and_report
from omegaconf import OmegaConf

from rnn_s2s_plugin.compat.messages import print_usage_errors_plainly
from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel


def shown_by_excepthook(error: Exception, capsys) -> str:
    print_usage_errors_plainly()
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.excepthook = sys.__excepthook__
    return capsys.readouterr().err


def test_usage_errors_are_shown_as_one_sentence_and_others_as_before(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/fairseq-train"])
    sentence = shown_by_excepthook(UsageError("--cell gruu is unknown"), capsys)
    assert sentence == "fairseq-train: error: --cell gruu is unknown\n"
    assert shown_by_excepthook(ValueError("something else"), capsys).endswith("ValueError: something else\n")


def test_other_programs_keep_their_tracebacks_and_their_garbage_collection():
    """Only a command changes the process; this one imports the package, as a notebook does."""
    program = (
        "import gc, sys, rnn_s2s_plugin\nassert sys.excepthook is sys.__excepthook__ and not gc.get_freeze_count()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


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


def test_bad_value_under_hydra_is_one_sentence():
    """fairseq merges a plugin's options when hydra has checked its own; the command line is checked by argparse."""
    cfg = OmegaConf.create({"model": {"_name": "rnn_attn", "dropout": "high"}})
    with pytest.raises(UsageError, match="^option dropout of rnn_attn: .*high.* could not be converted to Float$"):
        add_defaults(cfg)


def test_missing_package_is_named(capsys):
    """As for --ddp-backend slowmo."""
    error = ImportError("Cannot find SlowMo.\nPlease install fairscale with: pip install fairscale")
    sentence = "error: Cannot find SlowMo. Please install fairscale with: pip install fairscale\n"
    assert shown_by_excepthook(error, capsys).endswith(sentence)
    assert shown_by_excepthook(ImportError("other"), capsys).endswith("ImportError: other\n")


def test_command_ends_with_one_sentence_and_exit_code_1(fairseq_process, corpus, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    result = fairseq_process("generate", corpus.data, "--path", tmp_path / "checkpoint.pt")
    assert result.returncode == 1
    assert "Traceback" not in result.output
    assert result.output.splitlines()[-1].startswith(f"fairseq-generate: error: checkpoint {tmp_path}")
    assert "Warning" not in result.output  # silence_warnings_about_fairseq


@pytest.mark.parametrize("command", ["generate", "validate", "interactive"])
def test_log_lines_have_their_time(command, fairseq_process, corpus, checkpoint):
    """In processes of their own: the format was lost while fairseq was imported."""
    result = fairseq_process(command, corpus.data, "--path", checkpoint, "--max-tokens", 400)
    assert re.search(rf"^\d{{4}}-\d\d-\d\d .* \| INFO \| fairseq_cli\.{command} \| ", result.output, re.M)
    assert "DEBUG" not in result.output and f"INFO:fairseq_cli.{command}" not in result.output


def test_loglevel_that_is_none(fairseq_process, corpus, checkpoint, monkeypatch):
    monkeypatch.setenv("LOGLEVEL", "loud")
    result = fairseq_process("generate", corpus.data, "--path", checkpoint)
    assert result.output.endswith("error: LOGLEVEL=loud: must be DEBUG, INFO, WARNING or ERROR\n"), result.output


def test_command_whose_output_nobody_reads_on_ends_quietly(corpus, checkpoint):
    """As ``| head``."""
    process = start_fairseq("generate", corpus.data, "--path", checkpoint, stderr=subprocess.PIPE)
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(60) == 1 and "Translated" not in errors
    assert "Traceback" not in errors and "BrokenPipe" not in errors, errors


def test_validation_needs_no_task(fairseq_process, corpus, checkpoint):
    """In a process of its own: the parser is made before fairseq-validate has read --user-dir."""
    result = fairseq_process("validate", corpus.data, "--path", checkpoint, "--max-tokens", 400)
    assert result.returncode == 0 and "valid on 'valid' subset" in result.output


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


def test_from_pretrained_of_what_is_not_there(corpus, checkpoint, tmp_path):
    folder, name, data = str(checkpoint.parent), checkpoint.name, str(corpus.data)
    with pytest.raises(UsageError, match="no_model cannot be read: name the folder of the checkpoint"):
        RNNAttnModel.from_pretrained(str(tmp_path / "no_model"), name, data)
    with pytest.raises(UsageError, match="no_data cannot be read: .* or that of the data"):
        RNNAttnModel.from_pretrained(folder, name, str(tmp_path / "no_data"))
    with pytest.raises(UsageError, match="bpe_codes .*no_codes cannot be read"):
        RNNAttnModel.from_pretrained(folder, name, data, bpe="subword_nmt", bpe_codes=str(tmp_path / "no_codes"))


def test_index_errors_of_programs_are_not_blamed_on_the_data(fairseq, corpus, checkpoint, monkeypatch):
    """Only that of an embedding tells of words beyond the dictionary."""
    monkeypatch.setattr(SequenceGenerator, "generate", lambda *_, **__: [][0])
    with pytest.raises(IndexError, match="list index out of range"):
        fairseq("generate", corpus.data, "--path", checkpoint)


def test_what_models_in_python_cannot_do(corpus, checkpoint):
    hub = RNNAttnModel.from_pretrained(str(checkpoint.parent), checkpoint.name, str(corpus.data))
    with pytest.raises(UsageError, match="len_pen is no option of a search"):
        hub.translate("one two", len_pen=2)
    with pytest.raises(UsageError, match="--beam 0: must be at least 1"):
        hub.translate("one two", beam=0)
    with pytest.raises(UsageError, match="--nbest 3 needs a --beam of at least as many, not 2"):
        hub.translate("one two", 2, nbest=3)
    with pytest.raises(UsageError, match="--coverage-penalty -1.0: must be a number of at least 0"):
        hub.translate("one two", coverage_penalty=-1.0)
    with pytest.raises(UsageError, match="score is for language models"):
        hub.score("one two")


def test_models_in_python_take_paths(corpus, checkpoint, tmp_path):
    (tmp_path / "codes").write_text("#version: 0.2\no n\n")
    subwords = {"bpe": "subword_nmt", "bpe_codes": tmp_path / "codes"}
    hub = RNNAttnModel.from_pretrained(checkpoint.parent, checkpoint.name, corpus.data, **subwords)
    assert hub.apply_bpe("one") == "on@@ e"


def test_models_in_python_tokenize_in_their_languages(corpus, checkpoint):
    def languages(**options):
        hub = RNNAttnModel.from_pretrained(
            str(checkpoint.parent), checkpoint.name, str(corpus.data), tokenizer="moses", **options
        )
        return hub.tokenizer.tok.lang, hub.tokenizer.detok.lang

    assert languages() == ("src", "tgt")
    assert languages(source_lang="tgt", target_lang="src") == ("tgt", "src")
