"""The package as fairseq's --user-dir: from the checkout and by its printed path, imported once each."""

import argparse
import os
import subprocess
import sys

import pytest
from conftest import ARCHITECTURES, ROOT, USER_DIR
from fairseq import utils
from fairseq.models import ARCH_MODEL_REGISTRY
from setuptools import find_packages

import rnn_s2s_plugin


def test_user_dir_and_import_are_the_same_modules():
    assert rnn_s2s_plugin.__path__ == [str(USER_DIR)]
    assert set(ARCH_MODEL_REGISTRY) >= set(ARCHITECTURES)


@pytest.mark.parametrize("spelling", [str(USER_DIR), f"{USER_DIR}/", os.path.relpath(USER_DIR)])
def test_second_import_by_another_spelling_is_no_clash(spelling):
    utils.import_user_module(argparse.Namespace(user_dir=spelling))


def test_module_prints_nothing_but_the_user_dir(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "rnn_s2s_plugin"]
    printed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout == f"{USER_DIR}\n"


def test_installation_holds_every_module():
    packages = {name.replace(".", "/") for name in find_packages(str(ROOT), include=["rnn_s2s_plugin*"])}
    folders = {str(path.parent.relative_to(ROOT)) for path in USER_DIR.rglob("*.py")}
    assert folders - packages == {"rnn_s2s_plugin/compat/startup"}, "setup.py installs this one beside the packages"


def test_no_other_folder_is_a_package():
    """--user-dir puts the checkout first on ``sys.path``: a package ``examples`` would hide others."""
    assert [path.parent for path in ROOT.glob("*/__init__.py")] == [USER_DIR]
