"""What the documentation says against the code."""

import re

from conftest import ROOT, load_script
from fairseq.models import ARCH_MODEL_REGISTRY

from rnn_s2s_plugin.errors import flag
from rnn_s2s_plugin.models.config import FIELDS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_options_page_is_up_to_date():
    page = load_script(ROOT / "docs" / "make_options.py")
    assert page.OUTPUT.read_text(encoding="utf-8") == page.document(), "run python docs/make_options.py"


def test_tables_of_results_say_what_is_on_record():
    quality = load_script(ROOT / "benchmarks" / "quality.py")
    for (page, begin), rows in quality.TABLES.items():
        table = f"{begin}\n{quality.table(quality.read_records(), rows)}\n{quality.END}"
        assert table in page.read_text(encoding="utf-8"), "run python benchmarks/quality.py --table"


def test_results_are_means_over_seeds_and_minutes_those_of_the_fastest():
    quality = load_script(ROOT / "benchmarks" / "quality.py")
    record = {"row": "rnn_attn", "parameters": 2_930_000, "updates": 100}
    scores = [dict.fromkeys(quality.TESTS, bleu) for bleu in (30.0, 32.0, 31.0)]
    records = [
        {**record, "seed": seed, "train_minutes": minutes, "bleu": bleu, "chrf": {"2016": 50.0}}
        for seed, minutes, bleu in zip((1, 2, 3), (4.0, 2.0, 3.0), scores)
    ]
    last = quality.table(records, list(quality.ROWS)).splitlines()[-1]
    assert last == "| rnn_attn | 2.93 M | 100 | 2 | 3 | " + "31.00 ± 1.00 | " * 3 + "50.00 ± 0.00 |"


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
