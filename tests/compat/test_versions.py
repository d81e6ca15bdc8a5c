"""fairseq on newer packages. Each test fails without its mend."""

import subprocess
import sys

import pytest
import torch
from conftest import ROOT, SHORT
from fairseq.data import TokenBlockDataset

from rnn_s2s_plugin.compat import versions


def test_unknown_fairseq_version_is_reported_in_one_line(monkeypatch, caplog):
    versions.warn_about_unknown_fairseq()
    assert not caplog.records
    monkeypatch.setattr(versions.fairseq, "__version__", "0.13.0\n")
    versions.warn_about_unknown_fairseq()
    assert [record.getMessage() for record in caplog.records] == [
        "fairseq 0.13.0 is not a version this plugin was tested with (0.12.3.1)"
    ]


STARTUP = ROOT / "rnn_s2s_plugin" / "compat" / "startup"
OPTIONAL_TYPES = """
import fairseq.dataclass.utils as utils
from typing import Any, List, Optional, Union
for given, expected in (
    (Optional[int], int), (Optional[List[str]], List[str]), (Any, str), (float, float), (Union[int, str],) * 2
):
    assert utils.interpret_dc_type(given) == expected, given
assert utils.interpret_dc_type.__module__ == "rnn_s2s_startup"
"""
HELP_THAT_IS_NO_TEXT = """
import argparse
add_argument = argparse._ActionsContainer.add_argument
def check_help(self, action):
    assert isinstance(action.help, (str, type(None))), "badly formed help string"
def add_and_check(self, *args, **kwargs):
    action = add_argument(self, *args, **kwargs)
    self._check_help(action)
    return action
argparse._ActionsContainer._check_help, argparse._ActionsContainer.add_argument = check_help, add_and_check
from hydra._internal.utils import get_args_parser
assert get_args_parser().parse_args(["--run"]).run
try:
    argparse.ArgumentParser().add_argument("--x", help=[])
except AssertionError:
    print("others are still checked")
"""


# As PyTorch 2.14 warns and Python 3.15 has no _MISSING_TYPE.
WARNING_AND_NAME = """
import dataclasses, warnings
import torch
vars(dataclasses).pop("_MISSING_TYPE", None)
script = torch.jit.script
def warn_and_script(*args):
    warnings.warn("`torch.jit.script` is deprecated", FutureWarning)
    return script(*args)
torch.jit.script = warn_and_script
import fairseq.models.model_utils
assert isinstance(dataclasses.MISSING, dataclasses._MISSING_TYPE)
"""


@pytest.mark.parametrize(
    "program", [OPTIONAL_TYPES, HELP_THAT_IS_NO_TEXT, WARNING_AND_NAME], ids=["options", "help", "warning and name"]
)
def test_modules_are_mended_while_they_are_imported(program):
    code = f"import sys; sys.path.insert(0, {str(STARTUP)!r}); import rnn_s2s_startup\n{program}"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and "Warning" not in done.stdout, done.stdout
    assert ("others are still checked" in done.stdout) == ("argparse" in program)


def test_python_reads_the_mends_when_it_starts():
    done = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], stdout=subprocess.PIPE, text=True)
    assert "rnn_s2s_startup" in done.stdout.split()


def test_data_workers_are_copies_of_the_process():
    """Also where a server would start them, as since Python 3.14."""
    begin, settled = "import multiprocessing as m; m.set_start_method('forkserver')", "print(m.get_start_method())"
    code = f"{begin}; import rnn_s2s_plugin; {settled}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "fork\n"


def test_token_blocks_of_whole_sentences_work_on_numpy_2():
    sentences = [torch.tensor([5, 6, 2]), torch.tensor([7, 2])]
    blocks = TokenBlockDataset(sentences, [3, 2], block_size=None, pad=1, eos=2, break_mode="eos")
    assert [block.tolist() for block in blocks] == [[5, 6, 2], [7, 2]]


def test_no_text_command_imports_torchaudio(fairseq, corpus, checkpoint):
    """fairseq asks for it, but a torchaudio that does not fit the PyTorch installed cannot be imported."""
    fairseq("interactive", corpus.data, "--path", checkpoint, "--input", corpus.raw / "test.src", *SHORT)
    assert "torchaudio" not in sys.modules
