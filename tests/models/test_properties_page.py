"""The generated page of what is tested."""

from conftest import ROOT, load_script
from harness.options import CASES

PAGE = ROOT / "docs" / "make_properties.py"


def test_page_is_up_to_date():
    page = load_script(PAGE)
    assert page.OUTPUT.read_text(encoding="utf-8") == page.document(), "run python docs/make_properties.py"


def test_no_option_is_without_a_cell():
    page = load_script(PAGE)
    for option in CASES:
        assert all(number > 0 for number in page.counted(option)), option
