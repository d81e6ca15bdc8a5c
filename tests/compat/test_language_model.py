"""Language models, alone and beside a translation model. Each test fails without its mend."""

import json
import re
import shutil

import pytest
from conftest import SHORT, SIZES

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel


def test_language_model_trains_scores_and_joins_translation(fairseq, corpus, checkpoint, tmp_path):
    """The dictionary of a language model must lie as dict.txt beside the translation data."""
    prefixes = [f"--{split}pref={corpus.raw / split}.tgt" for split in SIZES]
    data, model = tmp_path / "data", tmp_path / "model" / "checkpoint_last.pt"
    fairseq("preprocess", "--only-source", *prefixes, "--destdir", data, "--srcdict", corpus.data / "dict.tgt.txt")

    options = ["--task", "language_modeling", "--arch", "lstm_lm", "--sample-break-mode", "eos", "--optimizer", "adam"]
    options += ["--decoder-embed-dim", 16, "--decoder-hidden-size", 16, "--decoder-out-embed-dim", 16, "--lr", 0.01]
    fairseq("train", data, *options, "--max-tokens", 400, "--max-epoch", 1, "--save-dir", model.parent)
    result = fairseq("eval_lm", data, "--path", model, "--sample-break-mode", "eos")
    assert "Perplexity" in result.output
    with pytest.raises(UsageError, match="test2017 .*--gen-subset"):
        fairseq("eval_lm", data, "--path", model, "--gen-subset", "test2017")

    fusion = ["--path", checkpoint, "--lm-path", model, "--lm-weight", 0.1, *SHORT]
    with pytest.raises(UsageError, match="dict.txt cannot be read .*target language's dictionary"):
        fairseq("generate", corpus.data, *fusion)
    both = shutil.copytree(corpus.data, tmp_path / "both")
    shutil.copy(both / "dict.tgt.txt", both / "dict.txt")
    assert len(fairseq("generate", both, *fusion).field("H")) == SIZES["test"]


def test_language_model_in_the_search_of_validation(train, corpus, language_model, tmp_path):
    """With and without its weight, which is 0 unless it is given."""
    shutil.copy(corpus.data / "dict.tgt.txt", corpus.data / "dict.txt")
    searches = {"none": {}, "weight 0": {"lm_path": str(language_model[1])}}
    searches["weight 5"] = {**searches["weight 0"], "lm_weight": 5}
    bleu = {}
    try:
        for name, search in searches.items():
            options = json.dumps({"beam": 2, "max_len_b": 5, **search})
            result = train(tmp_path / name, "--eval-bleu", "--eval-bleu-args", options, "--no-epoch-checkpoints")
            (bleu[name],) = (entry["valid_bleu"] for entry in result.log("valid_bleu"))
    finally:
        (corpus.data / "dict.txt").unlink()
    assert bleu["none"] == bleu["weight 0"] != bleu["weight 5"]


def test_several_language_models_score_together(fairseq, language_model):
    """The mean of a model's probabilities and the same ones."""
    folder, path = language_model
    shutil.copy(path, folder / "copy.pt")
    command = ("eval_lm", folder, "--sample-break-mode", "eos", "--path")
    one, two = (fairseq(*command, paths).output for paths in (path, f"{path}:{folder / 'copy.pt'}"))
    perplexity = re.compile(r"Perplexity: ([\d.]+)")
    assert perplexity.search(one)[1] == perplexity.search(two)[1]


def test_two_models_in_a_program_have_a_language_model_each(corpus, checkpoint, language_model, tmp_path):
    """One model is in bfloat16, to which fairseq brings its language model as well."""
    data = shutil.copytree(corpus.data, tmp_path / "data")
    shutil.copy(data / "dict.tgt.txt", data / "dict.txt")
    options = {"lm_path": str(language_model[1]), "lm_weight": 0.5, "beam": 2, "max_len_b": 5}
    model, half = (
        RNNAttnModel.from_pretrained(checkpoint.parent, checkpoint.name, data_name_or_path=data).eval()
        for _ in range(2)
    )
    sentence = model.encode(corpus.lines("test", "src")[0])
    before = model.generate(sentence, **options)[0]["score"]
    half.bfloat16().generate(sentence, **options)
    assert model.generate(sentence, **options)[0]["score"] == before


@pytest.mark.parametrize("task", ["language_modeling --arch rnn_lm", "denoising --arch rnn_attn"])
def test_the_word_pad_in_a_text(task, fairseq, tmp_path):
    """fairseq counts it among the words of a batch, and no loss does."""
    (tmp_path / "text").write_text("one two <pad> three\nfour five\n")
    prefixes = [f"--{split}pref={tmp_path / 'text'}" for split in ("train", "valid")]
    fairseq("preprocess", "--only-source", *prefixes, "--destdir", tmp_path)
    options = ("--decoder-embed-dim", 8, "--decoder-hidden-size", 8, "--dropout", 0, "--lr", 1e-9, "--no-save")
    command = ["train", tmp_path, "--task", *task.split(), *options, "--sample-break-mode", "eos"]
    command += ["--optimizer", "adam", "--max-tokens", 400, "--max-update", 1, "--log-format", "json", "--criterion"]
    plain, fused = (
        fairseq(*command, criterion).log("valid_loss")[-1]["valid_loss"]
        for criterion in ("label_smoothed_cross_entropy", "fused_label_smoothed_cross_entropy")
    )
    assert plain == fused
