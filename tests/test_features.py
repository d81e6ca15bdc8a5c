"""Every feature of fairseq that users reach for, on every architecture: the cells of ``docs/features.md``."""

import pytest
from conftest import ARCHITECTURES, ROOT, load_script
from harness.features import FEATURES, World

CELLS = [
    pytest.param(name, arch, id=f"{name}-{arch}")
    for name, feature in FEATURES.items()
    for arch in ARCHITECTURES
    if feature.unfit(arch) is None
]


@pytest.mark.parametrize("name, arch", CELLS)
def test_feature(name, arch, trained, language_model, corpus, fairseq, train, tmp_path):
    FEATURES[name].check(World(arch, trained, corpus, language_model[1], fairseq, train, tmp_path))


def test_page_is_up_to_date():
    page = load_script(ROOT / "docs" / "make_features.py")
    assert page.OUTPUT.read_text(encoding="utf-8") == page.document(), "run python docs/make_features.py"
