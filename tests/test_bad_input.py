"""Bad input of every kind through fairseq's own commands: one clear sentence that names what is at fault.

A case is a command line with what its sentence must say. Where fairseq itself has such a sentence it is left as it is;
argparse's (exit code 2) too.
"""

import re
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import pytest
import torch
from conftest import TRAIN_TINY
from harness.options import SMALL
from models.test_effects import IGNORED
from models.test_refusals import COMBINATIONS, OUT_OF_RANGE

from rnn_s2s_plugin.compat.messages import sentence_about
from rnn_s2s_plugin.errors import flag

Change = Callable[[Any], Any]  # of what it is given: a folder of data, or what a checkpoint holds


class Bad(NamedTuple):
    """A name, a command line with {fields} of the fixture ``places``, and a pattern of its sentence."""

    name: str
    command: str
    args: str
    sentence: str


TRAIN = "{data} --save-dir {new} --max-tokens 400 --max-update 1 --optimizer adam --no-save "
ATTN = TRAIN + "--arch rnn_attn "
FUSED = ATTN + "--criterion fused_label_smoothed_cross_entropy "
RISK = ATTN + "--criterion minimum_risk "
ADAPTIVE = ATTN + "--criterion adaptive_loss --ddp-backend legacy_ddp"
GENERATE = "{data} --path {model} "
SKIP_ALL = "--max-source-positions 1 --skip-invalid-size-inputs-valid-test"
CASES = [
    # options of training
    Bad("no architecture", "train", TRAIN, "--arch is missing"),
    Bad("unknown architecture", "train", TRAIN + "--arch rnn_atn", "--arch.*no rnn_atn: did you mean rnn_attn or"),
    Bad("an architecture like no other", "train", TRAIN + "--arch xyz", "--arch.*there is no xyz: --help lists ours"),
    Bad("unknown cell", "train", ATTN + "--cell gruu", "--cell must be one of lstm, gru, .*, got 'gruu'"),
    Bad("unknown attention", "train", ATTN + "--attention bahdanau", "--attention: invalid choice: 'bahdanau'"),
    Bad("unknown convolution", "train", ATTN + "--context-conv deep", "--context-conv: invalid choice: 'deep'"),
    Bad("unknown bridge", "train", ATTN + "--bridge first", "--bridge: invalid choice: 'first'"),
    Bad("unknown direction", "train", ATTN + "--encoder-direction both", "--encoder-direction: invalid choice: 'both'"),
    Bad("unknown option", "train", ATTN + "--atention dot", "unrecognized arguments: --atention"),
    Bad("unknown criterion", "train", ATTN + "--criterion loss", "--criterion: invalid choice: 'loss'"),
    Bad("layers in words", "train", ATTN + "--encoder-layers two", "--encoder-layers: invalid .* 'two'"),
    Bad("rate in words", "train", ATTN + "--dropout high", "--dropout: invalid .* 'high'"),
    Bad("rate not a number", "train", ATTN + "--dropout nan", "--dropout must be .* got nan"),
    Bad(
        "no batch size",
        "train",
        "{data} --save-dir {new} --arch rnn_attn --optimizer adam",
        "--max-tokens or --batch-size",
    ),
    Bad("log in no folder", "train", ATTN + "--log-file {no}/log", "--log-file .*no such folder"),
    Bad("tiny max tokens", "train", ATTN + "--max-tokens 3", "--max-tokens"),
    Bad("tiny max tokens of validation", "train", ATTN + "--max-tokens-valid 3", "--max-tokens-valid, is smaller"),
    Bad("long sentences", "train", ATTN + "--max-source-positions 3", "--skip-invalid-size-inputs-valid-test"),
    Bad("no optimizer", "train", "{data} --save-dir {new} --arch rnn_attn --max-tokens 400", "--optimizer is missing"),
    Bad("negative seed", "train", ATTN + "--seed -1", "--seed -1: must be at least 0 and below"),
    Bad("batches of a multiple of none", "train", ATTN + "--required-batch-size-multiple 0", "--required-batch-size"),
    Bad("fewer workers than none", "generate", GENERATE + "--num-workers -1", "--num-workers -1: must be at least 0"),
    Bad("logs at no interval", "train", ATTN + "--log-interval 0", "--log-interval 0: must be at least 1"),
    Bad("saved at no interval", "train", ATTN + "--save-interval 0", "--save-interval 0: .* --no-epoch-checkpoints"),
    Bad("validated at no interval", "train", ATTN + "--validate-interval 0", "--validate-interval 0: .*--disable"),
    Bad("uphill", "train", ATTN + "--lr -0.1", r"--lr \[-0.1\]: must be at least 0"),
    Bad("negative updates", "train", ATTN + "--max-update -1", "--max-update -1: must be at least 0"),
    Bad("negative epochs", "train", ATTN + "--max-epoch -1", "--max-epoch -1: must be at least 0"),
    Bad("negative hours", "train", ATTN + "--stop-time-hours -1", "--stop-time-hours -1.0: must be at least 0"),
    Bad("negative clip norm", "train", ATTN + "--clip-norm -1", "--clip-norm -1.0: must be at least 0"),
    Bad("weight decay not a number", "train", ATTN + "--weight-decay nan", "--weight-decay nan: must be at least 0"),
    Bad("negative epsilon", "train", ATTN + "--adam-eps -1", "--adam-eps -1.0: must be at least 0"),
    Bad("negative warmup", "train", ATTN + "--lr-scheduler inverse_sqrt --warmup-updates -1", "--warmup-updates -1"),
    Bad("one beta", "train", ATTN + "--adam-betas 0.9", "--adam-betas 0.9: must be two rates"),
    Bad("a beta of 1", "train", ATTN + "--adam-betas (1,0.9)", "--adam-betas .1,0.9.: must be two rates"),
    Bad("Adam in half precision", "train", ATTN + "--fp16-adam-stats", "--fp16-adam-stats is only supported"),
    Bad("all smoothed away", "train", FUSED + "--label-smoothing 1", "--label-smoothing must be .* below 1"),
    Bad("prefix below nothing", "train", FUSED + "--ignore-prefix-size -1", "--ignore-prefix-size must not"),
    Bad("endless token loss", "train", RISK + "--risk-token-loss inf", "--risk-token-loss"),
    Bad(
        "aligned without attention",
        "train",
        TRAIN + "--arch rnn_basic --criterion label_smoothed_cross_entropy_with_alignment",
        "needs a model with attention",
    ),
    Bad(
        "language model tied to fewer words",
        "train",
        "{lm_text} --task language_modeling --arch rnn_lm --save-dir {new} --max-tokens 400 --optimizer adam "
        "--output-dictionary-size 8 --share-decoder-input-output-embed",
        "--output-dictionary-size",
    ),
    Bad("bleu arguments", "train", ATTN + "--eval-bleu --eval-bleu-args beam", "--eval-bleu-args"),
    Bad("no such bleu argument", "train", ATTN + '--eval-bleu --eval-bleu-args {{"max-len-b":9}}', "max_len_b"),
    Bad("bleu of no beam", "train", ATTN + '--eval-bleu --eval-bleu-args {{"beam":0}}', "--beam 0: must be at least 1"),
    Bad("beam as a text", "train", ATTN + '--eval-bleu --eval-bleu-args {{"beam":"4"}}', 'beam must be 4, not "4"'),
    Bad("bleu of a part of a beam", "train", ATTN + '--eval-bleu --eval-bleu-args {{"beam":1.5}}', "1.5.*Integer"),
    Bad(
        "bleu of the tenth best",
        "train",
        ATTN + '--eval-bleu --eval-bleu-args {{"nbest":10}}',
        "args.*--nbest 10 needs",
    ),
    Bad("no such tokenizer", "train", ATTN + "--eval-bleu --eval-bleu-detok mose", "--eval-bleu-detok mose: .* moses"),
    Bad("bleu of no subwords", "train", ATTN + "--eval-bleu --eval-bleu-remove-bpe bpe", "--eval-bleu-remove-bpe bpe"),
    Bad("best of no bleu", "train", ATTN + "--best-checkpoint-metric bleu", "needs --eval-bleu"),
    Bad("worst bleu", "train", ATTN + "--eval-bleu --best-checkpoint-metric bleu", "needs --maximize-best-checkpoint"),
    Bad("no validation to wait for", "train", ATTN + "--patience 2 --disable-validation", "--patience counts"),
    Bad("best of nothing", "train", ATTN + "--best-checkpoint-metric blue", "--best-checkpoint-metric blue .* loss,"),
    Bad(
        "cutoffs beyond words",
        "train",
        ATTN + "--criterion adaptive_loss --adaptive-softmax-cutoff 99",
        "--adaptive-softmax-cutoff 99",
    ),
    Bad(
        "more cutoffs than dims",
        "train",
        ADAPTIVE + " --adaptive-softmax-cutoff 4,5,6,7,8,9",
        "has 6 cutoffs.*use fewer",
    ),
    Bad("cutoff at padding", "train", ADAPTIVE + " --adaptive-softmax-cutoff 1,6", "must begin above 1, the number of"),
    Bad("targets padded on the left", "train", ATTN + "--left-pad-target", "--left-pad-target"),
    Bad(
        "the same in several languages",
        "train",
        ATTN + "--task translation_multi_simple_epoch --lang-pairs src-tgt --left-pad-target True",
        "--left-pad-target",
    ),
    Bad("masked words", "train", ATTN.replace("{data}", "{lm_data}") + "--task masked_lm", "is no language model"),
    Bad(
        "language model that translates",
        "train",
        "{data} --save-dir {new} --task translation_multi_simple_epoch --lang-pairs src-tgt --arch rnn_lm "
        "--optimizer adam --max-tokens 400",
        "rnn_lm translates nothing",
    ),
    Bad(
        "language model of the past",
        "train",
        "{lm_text} --task language_modeling --arch rnn_lm --save-dir {new} --optimizer adam --max-tokens 400 "
        "--past-target",
        "--past-target",
    ),
    Bad("adaptive softmax, other loss", "train", ATTN + "--adaptive-softmax-cutoff 6", "--criterion adaptive_loss"),
    Bad("adaptive loss alone", "train", ADAPTIVE, "--adaptive-softmax-cutoff"),
    Bad("fused loss, adaptive", "train", FUSED + "--adaptive-softmax-cutoff 6", "adaptive_loss"),
    Bad("negative R-Drop", "train", FUSED + "--rdrop-alpha -1", "--rdrop-alpha must be a number of at least 0, got -1"),
    Bad(
        "R-Drop without dropout",
        "train",
        FUSED + "--rdrop-alpha 5 --dropout 0",
        "--rdrop-alpha has no effect without dropout",
    ),
    Bad("one candidate", "train", RISK + "--risk-candidates 1", "--risk-candidates must be"),
    Bad("minimum risk, adaptive", "train", RISK + "--adaptive-softmax-cutoff 6", "adaptive_loss"),
    Bad("subwords of no kind", "train", RISK + "--risk-post-process bpe", "--risk-post-process bpe: must be one of"),
    Bad("two dictionaries", "train", ATTN + "--share-all-embeddings", "--joined-dictionary"),
    Bad("no vectors", "train", ATTN + "--encoder-embed-path {no}", "--encoder-embed-path: there is no file"),
    Bad(
        "vectors of other dims",
        "train",
        ATTN + "--encoder-embed-path {vectors}",
        "line 1 of .*vectors has 3 numbers, the model needs 256",
    ),
    Bad(
        "vectors in words",
        "train",
        ATTN + "--encoder-embed-dim 2 --encoder-embed-path {text}",
        "line 1 of .* does not hold numbers",
    ),
    Bad("no start", "train", ATTN + "--restore-file {no}", "--restore-file .* does not exist"),
    Bad("a folder for a start", "train", ATTN + "--finetune-from-model {empty}", "--finetune-from-model .* a folder"),
    Bad(
        "a start of other words",
        "train",
        "{more_words} --save-dir {new} --finetune-from-model {model} " + " ".join(TRAIN_TINY),
        "another architecture, size or vocabulary .* another --finetune-from-model",
    ),
    Bad("save into a file", "train", ATTN + "--save-dir {text}/new", "--save-dir .* cannot be written to"),
    Bad("fp16 on CPU", "train", ATTN + "--fp16", "--fp16 needs a CUDA device"),
    Bad("two processes on CPU", "train", ATTN + "--distributed-world-size 2", "--distributed-world-size 2"),
    Bad("asynchronous without iopath", "train", ATTN + "--write-checkpoints-asynchronously", "iopath"),
    Bad("no learning rate", "train", ATTN + "--lr fast", "--lr"),
    Bad(
        "no warmup",
        "train",
        ATTN + "--lr-scheduler inverse_sqrt --warmup-updates 0",
        "--lr-scheduler inverse_sqrt .*zero",
    ),
    Bad(
        "rate beyond the highest", "train", ATTN + "--lr-scheduler triangular --max-lr 1e-9", "--lr-sch.*max_lr must be"
    ),
    Bad("no languages", "train", ATTN + "--task translation_from_pretrained_bart", "needs --langs"),
    *(
        Bad(f"task {task}", "train", f"{ATTN}--task {task} {pairs}", f"--task {task} cannot train --arch rnn_attn")
        for task, pairs in (
            ("multilingual_translation", "--lang-pairs src-tgt"),
            ("semisupervised_translation", "--lang-pairs src-tgt"),
            ("online_backtranslation", "--mono-langs src,tgt --valid-lang-pairs src-tgt"),
        )
    ),
    # data
    Bad("no folder", "train", ATTN.replace("{data}", "{no}"), "data folder .*no: "),
    Bad("a file for a folder", "train", ATTN.replace("{data}", "{text}"), "data folder .*text: "),
    Bad("empty folder", "train", ATTN.replace("{data}", "{empty}"), "holds no files named"),
    Bad("other language", "train", ATTN + "-s src -t fr", "dict.fr.txt cannot be read"),
    Bad("same language twice", "train", ATTN + "-s fr -t fr", "dict.fr.txt cannot be read"),
    Bad("no training data", "train", ATTN + "--train-subset other", "other .*--train-subset"),
    Bad("no validation data", "train", ATTN + "--valid-subset other", "other .*--valid-subset"),
    Bad("cut index", "train", ATTN.replace("{data}", "{cut_index}"), "train.src-tgt.src"),
    Bad("cut data", "train", ATTN.replace("{data}", "{cut_data}"), "train.src-tgt.src"),
    Bad("index of something else", "train", ATTN.replace("{data}", "{text_index}"), "--dataset-impl"),
    Bad("unequal sides", "train", ATTN.replace("{data}", "{unequal}"), "different numbers of sentences"),
    Bad("no sentences", "train", ATTN.replace("{data}", "{no_sentences}"), "holds no sentences"),
    Bad("dictionary of prose", "train", ATTN.replace("{data}", "{prose}"), "dict.src.txt"),
    Bad("dictionary smaller than data", "train", ATTN.replace("{data}", "{few_words}"), "words beyond the dict"),
    Bad("dictionary not UTF-8", "train", ATTN.replace("{data}", "{latin}"), "dict.src.txt"),
    # checkpoints and data that do not go together
    Bad("no checkpoint", "generate", "{data} --path {no}", "checkpoint .* does not exist"),
    Bad("no path", "generate", "{data}", "--path"),
    Bad("folder for a checkpoint", "generate", "{data} --path {empty}", "checkpoint .*empty .*"),
    Bad("text for a checkpoint", "generate", "{data} --path {text}", "checkpoint .*text is damaged"),
    Bad("unknown architecture in it", "generate", "{data} --path {other_arch}", "rnn_future"),
    Bad("no options in it", "generate", "{data} --path {no_options}", "checkpoint .*no_options"),
    Bad("option value of the future", "generate", "{data} --path {other_value}", "hyperbolic"),
    Bad("weights of another size", "generate", "{data} --path {other_size}", "checkpoint .*other_size.*size mismatch"),
    Bad("other words", "generate", "{more_words} --path {model}", "checkpoint .*dictionar"),
    Bad("other words, validated", "validate", "{more_words} --path {model} --max-tokens 400", "checkpoint .*dictionar"),
    Bad(
        "resumed with other words",
        "train",
        "{more_words} --save-dir {new} --restore-file {model} " + " ".join(TRAIN_TINY),
        "another architecture, size or vocabulary",
    ),
    Bad("ensemble of other words", "generate", "{data} --path {model}:{no}", "checkpoint .* does not exist"),
    Bad("translation as language model", "eval_lm", "{lm_data} --path {model}", "translation model is no language"),
    Bad("language model as translation", "generate", "{data} --path {lm}", "rnn_lm translates nothing"),
    Bad("no language model", "generate", GENERATE + "--lm-path {no}", "checkpoint .* does not exist"),
    Bad("overrides in words", "generate", GENERATE + "--model-overrides beam", "--model-overrides"),
    Bad("overrides of nothing", "generate", GENERATE + "--model-overrides {{'int_8':True}}", "--model-overrides int_8"),
    # generation
    Bad("no test data", "generate", GENERATE + "--gen-subset test2", "test2 .*--gen-subset"),
    Bad("no beam", "generate", GENERATE + "--beam 0", "--beam"),
    Bad("no temperature", "generate", GENERATE + "--temperature 0", "--temperature 0.0: must be above 0"),
    Bad("no length penalty", "generate", GENERATE + "--lenpen nan", "--lenpen nan: must be a number"),
    Bad("no penalty of unknown words", "generate", GENERATE + "--unkpen nan", "--unkpen nan: must be a number"),
    Bad("groups do not divide", "generate", GENERATE + "--beam 5 --diverse-beam-groups 2", "--?beam"),
    Bad("sampling, one best", "generate", GENERATE + "--sampling --beam 3", "--sampling requires --nbest"),
    Bad("longer than the longest", "generate", GENERATE + "--min-len 20 --max-len-b 12", "--min-len 20 .*--max-len-b"),
    Bad("constraints without lines", "generate", GENERATE + "--constraints", "--constraints"),
    Bad(
        "constraints of groups",
        "interactive",
        GENERATE + "--constraints --beam 4 --diverse-beam-groups 2",
        "--diverse-beam-groups",
    ),
    Bad(
        "constraints of another task",
        "interactive",
        GENERATE + "--constraints --task translation_multi_simple_epoch --lang-pairs src-tgt",
        "--constraints is for --task translation",
    ),
    Bad("longer than the longest sentence", "generate", GENERATE + "--max-source-positions 1", "has more words than"),
    Bad(
        "context without words",
        "eval_lm",
        "{lm_text} --path {lm} --tokens-per-sample 8 --context-window 8",
        "--context-window 8 must be below --tokens-per-sample 8",
    ),
    Bad("noise for a refining model", "train", ATTN + "--task translation_lev", "give --task translation"),
    Bad("history of a search", "generate", GENERATE + "--retain-iter-history", "--retain-iter-history"),
    Bad(
        "soft alignment of references",
        "generate",
        GENERATE + "--score-reference --print-alignment soft",
        "--print-alignment hard",
    ),
    Bad("few words, generated", "generate", "{few_words} --path {few} --max-len-b 5", "beyond the dictionaries"),
    Bad("few words, validated", "validate", "{few_words} --path {few} --max-tokens 400", "beyond the dictionar"),
    Bad("translations as text", "eval_lm", "{data} --path {lm}", "binarized for translation"),
    Bad("unknown language", "generate", "{data} --path {model} --target-lang dd -s src", "dictionaries of src, tgt"),
    Bad("languages in the other order", "generate", "{few_words} -s tgt -t src --path {few}", "same order"),
    Bad("more best than beam", "generate", GENERATE + "--beam 2 --nbest 3", "--nbest"),
    Bad(
        "batch over buffer",
        "interactive",
        GENERATE + "--batch-size 4",
        "--batch-size cannot be larger than --buffer-size",
    ),
    Bad("no input", "interactive", GENERATE + "--input {no}", "--input"),
    Bad("unknown subwords", "interactive", GENERATE + "--bpe bytepiece", "--bpe: invalid choice: 'bytepiece'"),
    Bad("subwords without codes", "interactive", GENERATE + "--bpe subword_nmt", "--bpe-codes"),
    Bad("subwords without a model", "interactive", GENERATE + "--bpe sentencepiece", "needs --sentencepiece-model"),
    Bad(
        "subwords of no model",
        "interactive",
        GENERATE + "--bpe sentencepiece --sentencepiece-model {no}",
        "--sentencepiece-model, .* there is none at",
    ),
    Bad("tokens of no language", "interactive", GENERATE + "--tokenizer moses", "needs --source-lang and --target-la"),
    Bad("unknown post-processing", "generate", GENERATE + "--post-process joined", "--post-process"),
    Bad("no dictionary of alignments", "generate", GENERATE + "--replace-unk {no}", "--replace-unk"),
    Bad("no raw text", "generate", GENERATE + "--replace-unk", "--dataset-impl.raw"),
    Bad("longer than short sources", "generate", GENERATE + "--max-len-a .01 --max-len-b 0", "--min-len 1 is more .*"),
    Bad("two searches", "generate", GENERATE + "--match-source-len --diversity-rate 1", "--match-source-len and --div"),
    Bad("constraints, sampled", "interactive", GENERATE + "--constraints --sampling --beam 1", "--sampling and --con"),
    Bad("lines scored", "interactive", GENERATE + "--score-reference", "--score-reference is for fairseq-generate"),
    Bad("results of lines", "interactive", GENERATE + "--results-path {new}", "--results-path .* redirect the output"),
    Bad("shards of lines", "interactive", GENERATE + "--num-shards 2", "--num-shards is for fairseq-generate"),
    Bad("weight of nothing", "generate", GENERATE + "--lm-weight 0.5", "--lm-weight needs --lm-path"),
    Bad("dropout of training", "generate", GENERATE + "--retain-dropout --dropout 0.3", "--dropout .*'dropout': "),
    Bad("coverage rewarded", "generate", GENERATE + "--coverage-penalty -1", "--coverage-penalty -1.0: must be"),
    Bad("coverage of references", "generate", GENERATE + "--coverage-penalty 1 --score-reference", "--score-reference"),
    Bad("coverage by nothing", "generate", "{data} --path {basic} --coverage-penalty 1", "a model with attention"),
    Bad(
        "another mask for every word",
        "generate",
        GENERATE + "--retain-dropout --model-overrides {{'variational_dropout':True}}",
        "--variational-dropout: .* --retain-dropout-modules encoder, or --score-reference",
    ),
    Bad("dropout in modules", "generate", GENERATE + "--retain-dropout-modules encoder", "give that, too"),
    Bad(
        "dropout in no module",
        "generate",
        GENERATE + "--retain-dropout --retain-dropout-modules encoder,decodr",
        "--retain-dropout-modules decodr: no dropout there; there is in encoder",
    ),
    Bad(
        "dropout in the middle of a name",
        "generate",
        GENERATE + "--retain-dropout --retain-dropout-modules embed",
        "--retain-dropout-modules embed: no dropout there",
    ),
    Bad(
        "dropout in no module of a language model",
        "generate",
        "{lm_text} --task language_modeling --path {lm} --sample-break-mode eos --retain-dropout "
        "--retain-dropout-modules decodr",
        "--retain-dropout-modules decodr: no dropout there",
    ),
    Bad(
        "lengths of no multiple", "generate", GENERATE + "--required-seq-len-multiple 0", "--required-seq-len-multiple"
    ),
    Bad("prefix of lines", "interactive", GENERATE + "--prefix-size 1", "--prefix-size is for fairseq-generate"),
    Bad("all sentences skipped", "generate", GENERATE + SKIP_ALL, "every sentence of test .*--max-source-positions"),
    Bad("8 bits, validated", "validate", GENERATE + "--model-overrides {{'int8':True}}", "int8 is for generation"),
    Bad("all skipped, validated", "validate", GENERATE + SKIP_ALL + " --max-tokens 400", "every sentence of valid is"),
    Bad("all skipped, trained", "train", ATTN + SKIP_ALL, "every sentence of train is too long"),
    Bad(
        "long test sentences",
        "generate",
        GENERATE + "--max-source-positions 3",
        "--skip-invalid-size-inputs-valid-test",
    ),
    Bad(
        "alignment without attention",
        "generate",
        "{data} --path {basic} --print-alignment",
        "need a model with attention",
    ),
]


def sentence_of(fairseq, command: str, args: List[Any], capsys) -> str:
    """What the user reads in the end."""
    try:
        result = fairseq(command, *args)
    except SystemExit as error:
        assert error.code == 2
        return capsys.readouterr().err.strip().splitlines()[-1]
    except Exception as error:
        sentence = sentence_about(type(error), error)
        assert sentence is not None, f"a traceback that ends in {type(error).__name__}: {error}"
        return sentence
    raise AssertionError(f"accepted: {result.output[-500:]}")


def cut(file: str, size: int) -> Change:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:size])


def overwrite(file: str, content: bytes) -> Change:
    return lambda folder: (folder / file).write_bytes(content)


def unequal(folder: Path) -> None:
    for ending in ("bin", "idx"):
        shutil.copy(folder / f"valid.src-tgt.tgt.{ending}", folder / f"train.src-tgt.tgt.{ending}")


def more_words(folder: Path) -> None:
    with open(folder / "dict.tgt.txt", "a") as file:
        file.writelines(f"EXTRA{number} 1\n" for number in range(8))


# Copies of the corpus as fairseq-preprocess wrote it, each with one thing wrong.
DATA: Dict[str, Change] = {
    "cut_index": cut("train.src-tgt.src.idx", 60),
    "cut_data": cut("train.src-tgt.src.bin", 100),
    "text_index": overwrite("train.src-tgt.src.idx", b"not an index of anything at all"),
    "unequal": unequal,
    "prose": overwrite("dict.src.txt", b"the words of this language\n"),
    "few_words": overwrite("dict.src.txt", b"one 5\n"),
    "latin": overwrite("dict.src.txt", "für 5\n".encode("latin-1")),
    "more_words": more_words,
}


def few_source_words(state: dict) -> None:
    name = "encoder.embed.embedding.weight"
    state["model"][name] = state["model"][name][:5]


def other_options(**options: Any) -> Change:
    return lambda state: state["cfg"]["model"].update(options)


# Copies of a checkpoint, likewise.
CHECKPOINTS: Dict[str, Change] = {
    "few": few_source_words,
    "other_arch": other_options(_name="rnn_future", arch="rnn_future"),
    "no_options": lambda state: state.update(cfg=None, args=None),
    "other_value": other_options(attention="hyperbolic"),
    "other_size": other_options(decoder_hidden_size=24),
}


@pytest.fixture(scope="module")
def places(corpus, checkpoint, fairseq, train, language_model, tmp_path_factory):
    """What the cases name in braces."""
    root = tmp_path_factory.mktemp("bad")
    (root / "text").write_text("one two three\n")
    (root / "vectors").write_text("one 0.1 0.2 0.3\n")
    for name in ("empty", "lm_data"):
        (root / name).mkdir()
    shutil.copy(corpus.data / "dict.tgt.txt", root / "lm_data" / "dict.txt")
    train(root / "basic", "--arch", "rnn_basic", "--max-update", "1")
    for name, change in DATA.items():
        change(shutil.copytree(corpus.data, root / name))
    for name, change in CHECKPOINTS.items():
        state = torch.load(checkpoint)
        change(state)
        torch.save(state, root / f"{name}.pt")
    return {
        **{name: root / name for name in ("new", "no", "text", "vectors", "empty", "lm_data", *DATA)},
        **{name: root / f"{name}.pt" for name in CHECKPOINTS},
        "data": corpus.data,
        "model": checkpoint,
        "basic": root / "basic" / "checkpoint_last.pt",
        "lm_text": language_model[0],
        "lm": language_model[1],
        "no_sentences": without_sentences(corpus, fairseq, root),
    }


def without_sentences(corpus, fairseq, root: Path) -> Path:
    """The corpus with nothing to train on."""
    options = []
    for side in ("src", "tgt"):  # the names of the languages, too
        (root / f"none.{side}").write_text("")
        options += [f"--{side}dict", corpus.data / f"dict.{side}.txt"]
    folder = shutil.copytree(corpus.data, root / "no_sentences")
    fairseq("preprocess", "-s", "src", "-t", "tgt", "--trainpref", root / "none", *options, "--destdir", folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case, places, fairseq, capsys):
    sentence = sentence_of(fairseq, case.command, case.args.format(**places).split(), capsys)
    assert re.search(case.sentence, sentence), sentence
    assert "\n" not in sentence and "Traceback" not in sentence


def as_flags(overrides: dict) -> List[str]:
    """The same options on a command line."""
    flags = []
    for name, value in overrides.items():
        flags += [flag(name)] if value is True else [f"{flag(name)}={value}"]
    return flags


OPTIONS = [
    *(("rnn_attn", overrides, first) for overrides, first, *_ in COMBINATIONS),
    *(("rnn_attn", {name: value}, flag(name)) for name, value in OUT_OF_RANGE),
    *((arch, overrides, flag(ignored)) for arch, overrides, ignored in IGNORED if arch != "rnn_lm"),
]


@pytest.mark.parametrize("arch, overrides, named", OPTIONS, ids=str)
def test_bad_options_on_the_command_line(arch, overrides, named, places, fairseq, capsys):
    options = as_flags({**SMALL, **overrides})
    arguments = [*TRAIN.format(**places).split(), "--arch", arch, *options]
    assert named in sentence_of(fairseq, "train", arguments, capsys)
