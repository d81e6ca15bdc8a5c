"""Beam search and alignments. Each test fails without its mend."""

import re

import pytest
import torch
from conftest import SHORT, SIZES
from fairseq import search
from fairseq.data import Dictionary

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel


def test_diverse_beam_groups_do_not_depend_on_the_batch(fairseq, corpus, checkpoint):
    options = ["--path", checkpoint, "--beam", 4, "--diverse-beam-groups", 2, *SHORT]
    outputs = [fairseq("generate", corpus.data, *options, "--nbest", 4, "--batch-size", size).output for size in (1, 7)]
    hypotheses = [
        sorted(line.split("\t")[::2] for line in output.splitlines() if line.startswith("H-")) for output in outputs
    ]
    assert len(hypotheses[0]) == 4 * SIZES["test"]
    assert hypotheses[0] == hypotheses[1]


def test_shards_translate_every_sentence_once(fairseq, corpus, checkpoint):
    options = ["--path", checkpoint, "--beam", 1, "--batch-size", 4, *SHORT, "--num-shards", 3, "--shard-id"]
    translated = [
        number for shard in range(3) for number in fairseq("generate", corpus.data, *options, shard).field("H")
    ]
    assert sorted(translated) == list(range(SIZES["test"]))
    with pytest.raises(UsageError, match="--shard-id 3: must be at least 0 and below --num-shards 3"):
        fairseq("generate", corpus.data, *options, 3)


def test_sacrebleu_is_computed_where_it_is_asked_for(fairseq, corpus, checkpoint):
    options = ["--path", checkpoint, "--beam", 1, *SHORT]
    outputs = (
        fairseq("generate", corpus.data, *options, *end).output for end in (["--sacrebleu"], ["--scoring", "sacrebleu"])
    )
    scores = [output.strip().splitlines()[-1] for output in outputs]
    assert scores[0] == scores[1] and "hyp_len" in scores[0]


def test_a_language_as_the_last_word(train, fairseq, corpus, tmp_path):
    """fairseq's task for it fails with every model."""
    task = "--task translation_from_pretrained_bart --langs src,tgt -s src -t tgt".split()
    train(tmp_path, *task)
    model = tmp_path / "checkpoint_last.pt"
    result = fairseq("generate", corpus.data, *task, "--path", model, *SHORT)
    assert len(result.field("H")) == SIZES["test"] and "[tgt]" not in "".join(result.field("H").values())
    with pytest.raises(UsageError, match="--print-alignment and --replace-unk .*leave them out"):
        fairseq("interactive", corpus.data, *task, "--path", model, *SHORT, "--replace-unk")
    further = tmp_path / "further"
    train(further, *task, "--criterion", "minimum_risk", "--finetune-from-model", model, "--max-update", 2)
    assert (further / "checkpoint_last.pt").exists()


def replaces_unknown_words_by(source: list, result) -> bool:
    """Whether a translation of unknown words alone has the words of the source that they are aligned with."""
    words = result.field("H")[0].split("\t")[1].split()
    source_of = {int(t): int(s) for s, t in (pair.split("-") for pair in result.field("A")[0].split())}
    return words != [] and words == [source[source_of[t]] for t in range(len(words))]


def test_several_languages(train, fairseq, corpus, tmp_path):
    """In Python as with the commands. More than one dictionary for the languages of a side is refused."""
    languages = "--task translation_multi_simple_epoch --langs src,tgt --encoder-langtok tgt --lang-pairs".split()
    train(tmp_path, *languages, "src-tgt")
    options = ["-s", "src", "-t", "tgt", "--path", tmp_path / "checkpoint_last.pt", "--print-step", *SHORT]
    result = fairseq("generate", corpus.data, *languages, "src-tgt", *options)
    assert {i: int(steps) for i, steps in result.field("I").items()} == {
        i: len(scores.split()) for i, scores in result.field("P").items()
    }
    (tmp_path / "lines").write_text("one mystery two\n")
    unknown = ["--replace-unk", "--unkpen", -30, "--input", tmp_path / "lines", *options]
    typed = fairseq("interactive", corpus.data, *languages, "src-tgt", *unknown)
    assert replaces_unknown_words_by(["__tgt__", "one", "mystery", "two", "<eos>"], typed)
    hub = RNNAttnModel.from_pretrained(
        str(tmp_path), "checkpoint_last.pt", str(corpus.data), source_lang="src", target_lang="tgt"
    )
    texts = hub.translate(corpus.lines("test", "src"), max_len_b=12)
    assert texts == [text.split("\t")[1] for _, text in sorted(result.field("H").items())]
    others = [option for option in languages if option not in ("--encoder-langtok", "tgt")]
    refusal = "trained with --encoder-langtok tgt, not with no --encoder-langtok: give the same"
    with pytest.raises(UsageError, match=refusal):
        fairseq("generate", corpus.data, *others, "src-tgt", *options)
    with pytest.raises(UsageError, match=refusal):
        train(tmp_path, *others, "src-tgt", "--max-epoch", 2)
    with pytest.raises(UsageError, match="wants one dictionary for all source languages"):
        train(tmp_path, *languages, "src-tgt,tgt-src")


def test_alignment_without_attention_is_refused(train, fairseq, corpus, tmp_path):
    train(tmp_path, "--arch", "rnn_basic")
    for option in ("--print-alignment", "--replace-unk"):
        with pytest.raises(UsageError, match="--print-alignment and --replace-unk need a model with attention"):
            fairseq(
                "interactive",
                corpus.data,
                "--path",
                tmp_path / "checkpoint_last.pt",
                option,
                "--input",
                corpus.raw / "test.src",
            )


def test_soft_alignment_of_an_ensemble_is_that_of_the_models_that_attend(train, fairseq, corpus, checkpoint, tmp_path):
    train(tmp_path, "--arch", "rnn_basic")
    models = f"{tmp_path / 'checkpoint_last.pt'}:{checkpoint}"
    aligned = fairseq("generate", corpus.data, "--path", models, "--print-alignment", "soft", *SHORT).field("A")
    sums = [sum(map(float, weights.split(","))) for row in aligned.values() for weights in row.split()]
    assert len(aligned) == SIZES["test"] and sums == pytest.approx([1] * len(sums), abs=1e-4)


def test_alignment_of_fewer_hypotheses_than_beams(fairseq, corpus, checkpoint):
    """There are only so many translations of one word; each is aligned."""
    options = ["--path", checkpoint, "--beam", 50, "--nbest", 50, "--max-len-b", 1]
    plain, aligned = (
        fairseq("generate", corpus.data, *options, *more).output.splitlines() for more in ((), ("--print-alignment",))
    )
    hypotheses = [line for line in aligned if line.startswith("H-")]
    assert hypotheses == [line for line in plain if line.startswith("H-")]
    assert SIZES["test"] < len(hypotheses) == len([line for line in aligned if re.match(r"A-\d+\t\d+-0$", line)])


def test_sampling_from_more_words_than_there_are(fairseq, corpus, checkpoint):
    options = ["--path", checkpoint, "--sampling", "--beam", 1, "--sampling-topk", 10**6, *SHORT]
    assert len(fairseq("generate", corpus.data, *options).field("H")) == SIZES["test"]


@pytest.mark.parametrize("kind", [("generate", "--diversity-rate", 0.5), ("interactive", "--constraints")])
def test_more_beams_than_words_in_the_dictionary(kind, fairseq, corpus, checkpoint, tmp_path):
    (tmp_path / "lines").write_text("one two\tNINE\n")
    command, *options = kind
    options += ["--input", tmp_path / "lines"] if command == "interactive" else []
    result = fairseq(command, corpus.data, "--path", checkpoint, "--beam", 50, *SHORT, *options)
    assert len(result.field("H")) == (1 if command == "interactive" else SIZES["test"])


def test_hypotheses_of_matched_length_all_end_there():
    """Also those that are much less likely than another with one more word."""
    dictionary = Dictionary()
    dictionary.add_symbol("word")
    method = search.LengthConstrainedBeamSearch(dictionary, min_len_a=1, min_len_b=0, max_len_a=1, max_len_b=0)
    method.set_src_lengths(torch.tensor([3, 4]))  # with </s>
    log_probs = torch.log_softmax(torch.zeros(2, 2, len(dictionary)), dim=-1)
    before = torch.tensor([0.0, -9.0]).expand(2, 2).unsqueeze(-1).expand(-1, -1, 2)
    _, words, beams = method.step(2, log_probs, before)
    assert words[0, :2].tolist() == [dictionary.eos()] * 2 and beams[0, :2].tolist() == [0, 1]
    assert dictionary.eos() not in words[1, :2]


def test_matched_length_is_that_of_the_words(fairseq, corpus, checkpoint):
    result = fairseq("generate", corpus.data, "--path", checkpoint, "--match-source-len", "--beam", 2)
    words = {i: len(scores.split()) - 1 for i, scores in result.field("P").items()}  # </s> has a score, too
    assert words == {i: len(line.split()) for i, line in enumerate(corpus.lines("test", "src"))}


@pytest.mark.parametrize("batch", [1, 2])
def test_matched_length_of_a_source_without_words_is_one(batch, fairseq, corpus, checkpoint, tmp_path):
    (tmp_path / "lines").write_text("\none two\n")
    options = ["--match-source-len", "--input", tmp_path / "lines", "--buffer-size", 2, "--batch-size", batch]
    result = fairseq("interactive", corpus.data, "--path", checkpoint, *options)
    assert {i: len(scores.split()) - 1 for i, scores in result.field("P").items()} == {0: 1, 1: 2}


def test_a_prefix_of_an_empty_reference_is_none(fairseq, corpus, checkpoint, tmp_path):
    """It ends at once, and with it all hypotheses but one. The others' translations begin as their references do."""
    for side, lines in (("src", "one two\none\n"), ("tgt", "\nTWO ONE\n")):
        (tmp_path / f"text.{side}").write_text(lines)
    dictionaries = [f"--{side}dict={corpus.data / f'dict.{side}.txt'}" for side in ("src", "tgt")]
    fairseq(
        "preprocess", "-s", "src", "-t", "tgt", "--testpref", tmp_path / "text", *dictionaries, "--destdir", tmp_path
    )
    search = ["--path", checkpoint, "--beam", 2, *SHORT]
    plain, begun = (fairseq("generate", tmp_path, *search, *more).field("H") for more in ([], ["--prefix-size", 2]))
    assert begun[0] == plain[0] and begun[1].split("\t")[1].startswith("TWO ONE")
