"""The generated page of what is tested."""

import importlib.util
from pathlib import Path

from harness.options import CASES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "make_properties.py"


def load_page():
    spec = importlib.util.spec_from_file_location("make_properties", PAGE)
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    return page


def test_page_is_up_to_date():
    page = load_page()
    assert page.OUTPUT.read_text(encoding="utf-8") == page.document(), "run python docs/make_properties.py"


def test_no_option_is_without_a_cell():
    page = load_page()
    for option in CASES:
        assert all(number > 0 for number in page.counted(option)), option
