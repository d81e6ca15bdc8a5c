"""Every architecture through fairseq's real commands: what ``harness/features.py`` does not hold."""

import functools
import re
import signal
import time

import pytest
import torch
from conftest import ARCHITECTURES, SIZES, TRAIN_TINY, USER_DIR, start_fairseq
from fairseq import checkpoint_utils
from fairseq.data import Dictionary
from fairseq.models import ARCH_MODEL_REGISTRY

GENERATE = ("--beam", "5", "--max-len-b", "12")


def saved(folder):
    return checkpoint_utils.load_checkpoint_to_cpu(str(folder / "checkpoint_last.pt"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_beam_search_scores_are_teacher_forced_scores(architecture, trained, corpus, fairseq, tmp_path):
    """What beam search found step by step, scored again in one piece."""
    generated = fairseq("generate", corpus.data, "--path", trained[architecture], *GENERATE)
    for language in ("src", "tgt"):
        lines = generated.field("S" if language == "src" else "H")
        texts = [lines[i].split("\t")[-1] for i in sorted(lines)]
        (tmp_path / f"test.{language}").write_text("".join(f"{text}\n" for text in texts))
    dictionaries = [
        f"--{side}dict={corpus.data / f'dict.{lang}.txt'}" for side, lang in (("src", "src"), ("tgt", "tgt"))
    ]
    fairseq(
        "preprocess", "-s", "src", "-t", "tgt", f"--testpref={tmp_path / 'test'}", *dictionaries, "--destdir", tmp_path
    )
    rescored = fairseq("generate", tmp_path, "--path", trained[architecture], "--score-reference", "--beam", "1")
    first, again = generated.field("H"), rescored.field("H")
    for number in first:
        assert float(first[number].split("\t")[0]) == pytest.approx(float(again[number].split("\t")[0]), abs=1e-3)


def test_interactive_translates_lines_of_different_lengths(trained, corpus, fairseq_process):
    lines = corpus.lines("test", "src")[:5]
    result = fairseq_process(
        "interactive", corpus.data, "--path", trained["rnn_attn"], "--buffer-size", "5", "--batch-size", "5",
        *GENERATE, stdin="".join(f"{line}\n" for line in lines),
    )  # fmt: skip
    assert result.returncode == 0, result.output
    batch = fairseq_process("generate", corpus.data, "--path", trained["rnn_attn"], *GENERATE).field("H")
    for number in range(5):
        (score, text), (batch_score, batch_text) = (field[number].split("\t") for field in (result.field("H"), batch))
        assert text == batch_text
        assert float(score) == pytest.approx(float(batch_score), abs=1e-5)


def test_ensemble_scores_references_in_any_order(trained, corpus, fairseq):
    """Also where only some of the models have attention."""
    orders = (("rnn_attn", "rnn_basic"), ("rnn_basic", "rnn_attn"))
    paths = (":".join(str(trained[name]) for name in order) for order in orders)
    one, other = (fairseq("generate", corpus.data, "--path", path, "--score-reference").field("P") for path in paths)
    assert one == other


@pytest.mark.parametrize("architecture", ("rnn_attn", "rnn_conv_attn"))
def test_soft_alignments_do_not_depend_on_the_batch(architecture, trained, corpus, fairseq):
    """Sources are padded on the left; alone they have no padding."""
    options = ("--path", trained[architecture], *GENERATE, "--print-alignment", "soft")
    together = fairseq("generate", corpus.data, *options).field("A")
    alone = fairseq("generate", corpus.data, *options, "--batch-size", "1").field("A")
    lengths = {i: len(line.split()) + 1 for i, line in enumerate(corpus.lines("test", "src"))}
    for number, row in alone.items():
        weights = [[float(p) for p in position.split(",")] for position in row.split()]
        padded = [[float(p) for p in position.split(",")][-lengths[number] :] for position in together[number].split()]
        assert torch.tensor(padded) == pytest.approx(torch.tensor(weights), abs=2e-3)
        assert torch.tensor(weights).sum(1) == pytest.approx(torch.ones(len(weights)), abs=0.02)


# --- options and presets -------------------------------------------------------------------------------


def test_command_line_stands_above_preset_and_preset_above_default(corpus, fairseq, tmp_path):
    fairseq(
        "train", corpus.data, "--arch", "rnn_attn_tiny", "--decoder-embed-dim", "24", "--optimizer", "adam",
        "--max-tokens", "400", "--max-update", "1", "--save-dir", tmp_path,
    )  # fmt: skip
    model = saved(tmp_path)["cfg"]["model"]
    assert (model["decoder_embed_dim"], model["decoder_hidden_size"], model["decoder_layers"]) == (24, 64, 1)


def test_checkpoint_of_a_preset_loads_without_an_option_that_is_younger(trained, corpus, fairseq, tmp_path):
    state = torch.load(trained["rnn_attn"], weights_only=True)
    assert state["cfg"]["model"]["_name"] == "rnn_attn_tiny"
    del state["cfg"]["model"]["context_conv_heads"]
    torch.save(state, tmp_path / "old.pt")
    assert len(fairseq("generate", corpus.data, "--path", tmp_path / "old.pt", *GENERATE).field("H")) == SIZES["test"]


@pytest.fixture
def train_with_hydra(corpus, fairseq_process, tmp_path):
    return functools.partial(
        fairseq_process,
        "hydra_train", "task=translation", f"task.data={corpus.data}", "task.source_lang=src", "task.target_lang=tgt",
        "+model._name=rnn_attn_tiny", "+model.dropout=0.25", "criterion=cross_entropy", "lr_scheduler=fixed",
        f"common.user_dir={USER_DIR}", "common.cpu=true", "dataset.max_tokens=400", "optimization.max_update=1",
        "optimization.lr=[0.01]", f"checkpoint.save_dir={tmp_path}", f"hydra.run.dir={tmp_path}",
        "dataset.num_workers=0",
    )  # fmt: skip


def test_presets_work_with_hydra(train_with_hydra, tmp_path):
    result = train_with_hydra("optimizer=adam")
    assert result.returncode == 0, result.output
    weights = saved(tmp_path)["model"]
    assert weights["encoder.embed.embedding.weight"].size(1) == 32  # the preset's
    assert "decoder.attention.key_proj.weight" in weights  # the architecture's


@pytest.mark.parametrize(
    "options, sentence",
    [
        ([], "--optimizer is missing"),
        (["optimizer=adam", "optimization.max_epoch=-1"], "--max-epoch -1: must be at least 0"),
        (
            ["optimizer=adam", "task.eval_bleu=true", "task.eval_bleu_args='{\"beam\": 0}'"],
            ": --beam 0: must be at least 1",
        ),
        (
            ["optimizer=adam", "checkpoint.best_checkpoint_metric=bleu"],
            "--best-checkpoint-metric bleu needs --eval-bleu",
        ),
    ],
)
def test_values_under_hydra_are_checked(options, sentence, train_with_hydra, tmp_path):
    result = train_with_hydra(*options)
    assert result.returncode == 1 and "Traceback" not in result.output
    assert sentence in result.output
    assert not list(tmp_path.glob("*.pt"))


# --- training ------------------------------------------------------------------------------------------


def test_fused_criterion_trains_to_the_same_losses(train, tmp_path):
    losses = []
    keys = ("train_loss", "train_nll_loss", "train_accuracy")
    options = ("--label-smoothing", "0.1", "--report-accuracy", "--max-epoch", "3")
    for name in ("label_smoothed_cross_entropy", "fused_label_smoothed_cross_entropy"):
        result = train(tmp_path / name, "--criterion", name, *options)
        losses.append([{key: float(entry[key]) for key in keys} for entry in result.log("train_loss")])
    for entry, fused in zip(*losses):
        assert fused == {key: pytest.approx(value, rel=2e-3) for key, value in entry.items()}


@pytest.mark.parametrize("precision", ("--bf16", "--memory-efficient-fp16", "--amp"))
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_reduced_precision_trains(architecture, precision, train, tmp_path):
    """--fp16 itself needs CUDA."""
    options = ["--arch", f"{architecture}_tiny", "--max-epoch", "4", "--no-epoch-checkpoints"]
    options += ["--criterion", "fused_label_smoothed_cross_entropy", "--label-smoothing", "0.1"]
    full, reduced = (
        float(train(tmp_path / name, *options, *flags).log("train_loss")[-1]["train_loss"])
        for name, flags in (("full", ()), ("reduced", (precision,)))
    )
    assert reduced == pytest.approx(full, rel=0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_training_killed_in_the_middle_of_an_epoch_goes_on_to_the_same_end(how, corpus, tmp_path, fairseq):
    options = [
        *TRAIN_TINY, "--max-epoch", "4", "--max-tokens", "60", "--save-interval-updates", "5", "--dropout", "0.2",
        "--keep-interval-updates", "2", "--log-interval", "1",
    ]  # fmt: skip
    process = start_fairseq(
        "train", corpus.data, *options, "--save-dir", tmp_path / "killed",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which background jobs of a shell ignore
    )  # fmt: skip
    deadline = time.time() + 120
    while not (tmp_path / "killed/checkpoint_last.pt").exists() and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(how)
    output, _ = process.communicate()
    if how is signal.SIGINT:  # Ctrl-C
        assert "fairseq-train: error: interrupted" in output and "Traceback" not in output
    resumed = fairseq("train", corpus.data, *options, "--save-dir", tmp_path / "killed")
    assert "Loaded checkpoint" in resumed.output
    whole = fairseq("train", corpus.data, *options, "--save-dir", tmp_path / "whole")
    assert resumed.log("valid_loss")[-1]["valid_loss"] == whole.log("valid_loss")[-1]["valid_loss"]
    weights = [saved(tmp_path / name)["model"] for name in ("killed", "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_pretrained_embeddings_are_read_and_frozen(train, corpus, tmp_path):
    words = sorted({word for line in corpus.lines("train", "src") for word in line.split()})
    vectors = {word: [float(i + j) for j in range(16)] for i, word in enumerate(words)}
    text = "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in vectors.items())
    (tmp_path / "vectors.txt").write_text(f"{len(words)} 16\n{text}")
    train(tmp_path, "--encoder-embed-path", tmp_path / "vectors.txt", "--encoder-freeze-embed")
    matrix = saved(tmp_path)["model"]["encoder.embed.embedding.weight"]
    dictionary = Dictionary.load(str(corpus.data / "dict.src.txt"))
    assert matrix[dictionary.index("seven")].tolist() == vectors["seven"]


def test_guided_alignment_teaches_the_attention(corpus, fairseq, tmp_path):
    """The target is the source reversed; attention learns it from the alignments given."""
    for split in SIZES:
        lengths = [len(line.split()) for line in corpus.lines(split, "src")]
        rows = (" ".join(f"{n - 1 - t}-{t}" for t in range(n)) for n in lengths)
        (tmp_path / f"{split}.align").write_text("".join(f"{row}\n" for row in rows))
        for language in ("src", "tgt"):
            (tmp_path / f"{split}.{language}").write_text((corpus.raw / f"{split}.{language}").read_text())
    prefixes = [f"--{split}pref={tmp_path / split}" for split in SIZES]
    fairseq(
        "preprocess", "-s", "src", "-t", "tgt", *prefixes, "--align-suffix", "align", "--destdir", tmp_path / "data"
    )
    fairseq(
        "train", tmp_path / "data", *TRAIN_TINY, "--encoder-hidden-size", "24", "--decoder-hidden-size", "48",
        "--max-epoch", "60", "--max-tokens", "200", "--load-alignments", "--dropout", "0.2", "--no-epoch-checkpoints",
        "--disable-validation",
        "--criterion", "label_smoothed_cross_entropy_with_alignment", "--alignment-lambda", "1", "--save-dir", tmp_path,
    )  # fmt: skip
    path = tmp_path / "checkpoint_last.pt"
    result = fairseq("generate", tmp_path / "data", "--path", path, "--beam", "5", "--print-alignment", "hard")
    hypotheses = result.field("H")
    right = total = 0
    for number, row in result.field("A").items():
        n = len(corpus.lines("test", "src")[number].split())
        if len(hypotheses[number].split("\t")[1].split()) == n:
            pairs = [tuple(map(int, pair.split("-"))) for pair in row.split()]
            right += sum(source == n - 1 - target for source, target in pairs)
            total += len(pairs)
    assert total > 50
    assert right / total > 0.9


# --- language model ------------------------------------------------------------------------------------


def test_language_model_is_evaluated(language_model, fairseq):
    folder, path = language_model
    result = fairseq("eval_lm", folder, "--path", path, "--sample-break-mode", "eos", "--gen-subset", "test")
    perplexity = float(re.search(r"Perplexity: ([\d.]+)", result.output)[1])
    assert 1 < perplexity < 18  # there are 14 words


def test_every_architecture_and_preset_is_registered():
    names = {
        f"{architecture}{corpus}"
        for architecture in ARCHITECTURES
        for corpus in ("", "_multi30k", "_iwslt_de_en", "_wmt_en_de")
    }
    assert names <= set(ARCH_MODEL_REGISTRY)
