"""What the documentation says against the code."""

import importlib.util
import re
from pathlib import Path

from fairseq.models import ARCH_MODEL_REGISTRY

from rnn_s2s_plugin.models.config import FIELDS, flag

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_options_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("make_options", ROOT / "docs" / "make_options.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert page.OUTPUT.read_text(encoding="utf-8") == page.document(), "run python docs/make_options.py"


def test_every_option_has_a_help_text():
    assert all(field.metadata["help"] for field in FIELDS.values())


def test_readme_names_only_what_there_is():
    """Files that links and tables name, architectures, and the options of ours that it mentions."""
    for path in re.findall(r"\]\(([\w./-]+)\)", README) + re.findall(r"^\| `(\w+/[\w./]*)` \|", README, re.M):
        assert (ROOT / path).exists(), path
    assert set(re.findall(r"--arch `?(rnn_\w+)", README)) <= set(ARCH_MODEL_REGISTRY)
    ours = {flag(name) for name in FIELDS}
    for name in re.findall(r"`(--(?:cell|attention|context|bridge|input|encoder|decoder)[\w-]*)", README):
        assert name in ours, name
