"""Every block of the documentation runs, on a tiny corpus, or says why it does not; what pages name exists."""

import ast
import re
import shutil
from pathlib import Path

import pytest
from blocks import blocks
from command_server import CommandServer
from conftest import ROOT, run_fairseq
from fairseq import options
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_DATACLASS_REGISTRY

from rnn_s2s_plugin.errors import flag
from rnn_s2s_plugin.models.config import FIELDS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("README.md"))]
BLOCKS = [block for page in PAGES for block in blocks(page)]
ENDS = re.compile(r"--(max-epoch|max-update|patience|stop-time-hours|help)\b|optimization\.(max_epoch|max_update)=")
# What a block may be: shell commands and Python are run, output and markup are not.
RUN, SHOWN = ("bash", "python"), ("text", "html", "json")
SIZES = {"train": 120, "valid": 12, "test": 12}


def test_every_block_says_its_language():
    for block in BLOCKS:
        assert block.language in (*RUN, *SHOWN), f"{block.place}: a block of {block.language or 'no language'}"


def test_reasons_are_sentences_of_their_own():
    for block in BLOCKS:
        assert block.reason is None or len(block.reason.split()) >= 3, f"{block.place}: {block.reason}"


def trainings(page):
    """(block, command) of every call of fairseq's training commands, a line each."""
    for block in blocks(page):
        for line in block.text.replace("\\\n", " ").splitlines() if block.language == "bash" else ():
            command = re.sub(r"(^|\s)#.*", "", line)
            if re.search(r"\bfairseq-(hydra-)?train\b", command):
                yield block, command


def test_every_training_ends():
    """Without a limit fairseq-train goes on for ever."""
    found = [call for page in [*PAGES, *sorted((ROOT / "recipes").rglob("*.md"))] for call in trainings(page)]
    assert len(found) >= 10
    for block, command in found:
        assert ENDS.search(command), f"{block.place}: {command}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the documentation's commands use, with a corpus: text, alignments and binary form."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("rnn_s2s_plugin", "docs", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "work"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "examples" / "quickstart"))
        import make_data

        make_data.write(folder / "text", SIZES, seed=1)
    for path in (folder / "text").iterdir():
        shutil.move(path, folder / path.name)
    prefixes = [f"--{split}pref={folder / split}" for split in SIZES]
    run_fairseq("preprocess", "-s", "de", "-t", "en", *prefixes, "--destdir", folder / "data-bin")
    run_fairseq(
        "train", folder / "data-bin", "--arch", "rnn_attn_tiny", "--optimizer", "adam", "--lr", "0.02",
        "--criterion", "fused_label_smoothed_cross_entropy",  # as in the README, which goes on with this model
        "--max-tokens", "1000", "--max-update", "30", "--save-dir", folder / "checkpoints" / "rnn_attn",
        "--no-epoch-checkpoints", "--no-progress-bar",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def server(checkout):
    with CommandServer(checkout) as server:
        yield server


def command_of(block):
    """The shell command that runs the block; Python goes through a file, which some blocks name."""
    if block.language == "bash":
        return block.text
    named = re.match(r"# file: (\S+)\n", block.text)
    if named:
        return f"mkdir -p {Path(named[1]).parent} && cat > {named[1]} <<'END'\n{block.text}END\n"
    return f"cat > block.py <<'END'\n{block.text}END\npython block.py\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_of_a_page_run_in_their_order(page, server):
    """As somebody would type them, one after the other. Counts are printed with ``pytest -rP``."""
    chosen = [block for block in blocks(page) if block.language in RUN]
    for block in chosen:
        if block.reason is None:
            done = server.bash(command_of(block))
            assert done.returncode == 0, f"{block.place}:\n{block.text}\n{done.stdout[-4000:]}"
    skipped = [block for block in chosen if block.reason]
    print(f"{page.relative_to(ROOT)}: {len(chosen) - len(skipped)} blocks run, {len(skipped)} not run")
    for block in skipped:
        print(f"  {block.place}: {block.reason}")


@pytest.mark.parametrize("option", ("--bf16", "--model-overrides \"{'int8': True}\""))
def test_packages_that_extend_the_plugin_generate_in_other_precisions(option, server):
    """Parts that the model does not own would keep theirs, and fail; an option that is lost changes no score."""
    for block in blocks(ROOT / "docs" / "extending.md"):
        server.bash(command_of(block)).check_returncode()
        if "fairseq-generate" in block.text:
            generate = block.text[block.text.index("fairseq-generate") :].rstrip()
            exact, rounded = (server.bash(f"{generate} --cpu {more}") for more in ("", option))
            assert rounded.returncode == 0, f"{block.place}:\n{rounded.stdout[-4000:]}"
            exact, rounded = (re.findall(r"^H-.*", done.stdout, re.M) for done in (exact, rounded))
            assert len(exact) == len(rounded) == SIZES["test"] and exact != rounded, block.place


def test_most_blocks_are_run():
    chosen = [block for block in BLOCKS if block.language in RUN]
    run = [block for block in chosen if block.reason is None]
    print(f"all pages: {len(run)} blocks run, {len(chosen) - len(run)} not run")
    assert len(run) >= 20


def links(page):
    """(text, path) of every link to a file."""
    found = re.findall(r"\[([^]]*)\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [(text, target.split("#")[0]) for text, target in found if not re.match(r"https?:|#", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for _, target in links(page):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def names_in(path):
    """Functions, classes, their methods and module constants of a Python file."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
            methods = (part for part in getattr(node, "body", ()) if isinstance(part, ast.FunctionDef))
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_functions_that_are_linked_are_in_the_file(page):
    for text, target in links(page):
        name = re.fullmatch(r"`([A-Za-z_][\w.]*)`", text)
        if name and target.endswith(".py"):
            assert name[1] in names_in(page.parent / target), f"{page.name}: {name[1]} is not in {target}"


# Of pip, TensorBoard, the walk-throughs in examples/, and tests/faults.py.
OF_OTHER_TOOLS = {
    *("--no-build-isolation", "--index-url", "--logdir", "--folder", "--updates", "--train"),
    *("--kills", "--full-disks", "--lost-workers", "--damages", "--work"),
}


def known_options():
    """Of fairseq's commands with our models and its tasks, and of the inspection."""
    known = {flag(name) for name in FIELDS} | OF_OTHER_TOOLS
    for kind in ("training", "interactive_generation", "eval_lm", "preprocessing", "validation"):
        known |= set(getattr(options, f"get_{kind}_parser")()._option_string_actions)
    registries = [TASK_DATACLASS_REGISTRY, *(registry["dataclass_registry"] for registry in REGISTRIES.values())]
    for dataclass in (dataclass for registry in registries for dataclass in registry.values()):
        known |= {flag(name) for name in getattr(dataclass, "__dataclass_fields__", ())}
    for path in (ROOT / "rnn_s2s_plugin" / "inspect").glob("*.py"):
        known |= set(re.findall(r'"(--[\w-]+)"', path.read_text(encoding="utf-8")))
    return known


def test_options_that_pages_name_exist():
    """In the text, that is: those in blocks are tested by running them."""
    known = known_options()
    for page in PAGES:
        text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text):
            assert option in known, f"{page.name}: {option}"
