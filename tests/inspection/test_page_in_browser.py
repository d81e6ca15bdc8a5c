"""The page in a real browser:  BROWSER=chromium python -m pytest tests/inspection/test_page_in_browser.py"""

import os
import re
import subprocess

import numpy as np
import pytest

from rnn_s2s_plugin.inspect.page import write_page
from rnn_s2s_plugin.inspect.sentences import Inspection

BROWSER = os.environ.get("BROWSER")
pytestmark = pytest.mark.skipif(not BROWSER, reason="BROWSER names no browser")


def inspection(number, source, target):
    rng = np.random.default_rng(number)
    attention = rng.dirichlet(np.ones(len(source)), size=(2, len(target)))
    return Inspection(
        number,
        source,
        target,
        ["reference"],
        -1.0,
        [-0.5] * len(target),
        [[("x", 0.5), ("y", 0.25)]] * len(target),
        attention,
        {"decoder.stack.layers.0": rng.random((len(target), 20))},
    )


@pytest.fixture
def dom(tmp_path):
    """``dom("#sentence=2")``: the page as the browser has made it."""
    page = tmp_path / "index.html"
    first = inspection(0, ["vier@@", "und@@", "zwanzig", "Grüße", "</s>"], ["twenty-@@", "four", "greetings", "</s>"])
    second = inspection(7, ["<b>&amp;", "</s>"], ["</script>", "</s>"])
    write_page(page, "model.pt", "RNNAttnModel", [first, second], "@@ ", [np.array([[0.5, 0.3, 0.2]])])

    def dom(place=""):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        address = page.as_uri() + place
        return subprocess.run([BROWSER, *options, address], capture_output=True, text=True, timeout=60).stdout

    return dom


def test_everything_is_drawn(dom):
    page = dom()
    (attention,) = re.findall(r'id="attention">(.*?)</svg>', page, re.S)
    assert attention.count("<rect") == 9  # of three words each
    assert "vierundzwanzig" in attention and "Grüße" in attention and "coverage" in attention
    assert re.search(r'id="headName">mean of 2<', page)
    assert page.split('id="scores"')[1].split("</svg>")[0].count('class="cell"') == 4
    assert page.split('id="convolution"')[1].split("</svg>")[0].count('class="cell"') == 3
    assert "decoder layer 1 (reads the target)" in page


def test_a_place_is_opened_and_words_are_text(dom):
    page = dom("#sentence=2&head=1")
    assert "2 of 2, number 7" in page and re.search(r'id="headName">1 of 2<', page)
    assert "<dd>&lt;b&gt;&amp;amp;</dd>" in page and "<dd>&lt;/script&gt;</dd>" in page
