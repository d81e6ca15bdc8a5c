"""What a GPU computes, against the CPU: every option of every architecture, and fairseq's commands."""

import math
from statistics import median

import pytest
import torch
from conftest import ARCHITECTURES, USER_DIR
from fairseq import utils
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from harness.options import models
from harness.subject import SOURCE, TARGET, Subject

from rnn_s2s_plugin.criterions.fused_label_smoothed_cross_entropy import FusedLabelSmoothedCrossEntropyCriterion
from rnn_s2s_plugin.criterions.minimum_risk import MinimumRiskCriterion

if not torch.cuda.is_available():
    pytest.skip("there is no GPU", allow_module_level=True)
ON_GPU = {  # 8-bit matrices are for processors
    model: trials for model, trials in models().items() if trials[0].option != "int8"
}
# float32: the scan is another kernel than the CPU's, and float64's
PRECISIONS = {"float64": (torch.float64, 1e-8), "float32": (torch.float32, 2e-3)}


@pytest.fixture(autouse=True)
def full_float32(monkeypatch):
    """cuDNN's recurrences would round float32 to TF32, as PyTorch lets them."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def same(found, expected, tolerance):
    error = (found.double().cpu() - expected).abs().max()
    assert error <= tolerance * (1 + expected.abs().max()), f"differs by {error:.2g}"


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", ON_GPU, ids=[str(trials[0]) for trials in ON_GPU.values()])
def test_outputs_and_gradients(model, precision):
    trial = ON_GPU[model][0]
    s = Subject(trial.arch, trial.overrides)
    dtype, tolerance = PRECISIONS[precision]
    on_gpu = s.copy(dtype).cuda()
    for module in on_gpu.modules():
        if isinstance(module, torch.nn.RNNBase):
            module.train()  # else cuDNN has no gradient
    words = s.batch[1].ne(TARGET.pad())
    log_p, weights = s.run(*s.batch_for(on_gpu), on_gpu)
    same(log_p[words.cuda()].detach(), s.outputs[0][words], tolerance)
    if weights is not None:
        same(weights[words.cuda()].detach(), s.outputs[1][words], tolerance)
    s.loss(on_gpu).backward()
    for name, parameter in on_gpu.named_parameters():
        assert (parameter.grad is None) == (s.gradients[name] is None), name
        if parameter.grad is not None:
            same(parameter.grad, s.gradients[name], tolerance)


@pytest.fixture
def on_gpu(fairseq, corpus):
    """``on_gpu("generate", "--path", …)``: a command without ``--cpu``."""
    return lambda command, *args: fairseq(command, corpus.data, *args, "--user-dir", USER_DIR)


TRAIN = (
    "--encoder-embed-dim 32 --encoder-hidden-size 32 --decoder-embed-dim 32 --decoder-hidden-size 64 --optimizer adam "
    "--lr 0.01 --clip-norm 1 --max-tokens 400 --label-smoothing 0.1 --no-epoch-checkpoints --log-format json"
).split()
FUSED = ("--criterion", "fused_label_smoothed_cross_entropy")


def losses(result):
    return [float(entry["valid_loss"]) for entry in result.log("valid_loss")]


HALF = {
    "fp16": ("--fp16", "--fp16-init-scale", "16"),
    "bf16": ("--bf16",),
    "amp": ("--amp", "--fp16-init-scale", "16"),
    "memory-efficient fp16": ("--fp16", "--memory-efficient-fp16", "--fp16-init-scale", "16"),
    "memory-efficient bf16": ("--bf16", "--memory-efficient-bf16"),
}


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_half_precision_trains_as_float32_does_and_resumes(architecture, precision, on_gpu, tmp_path):
    """The same falling losses, as far as half precision goes."""
    options = ("--arch", architecture, *TRAIN, *FUSED)
    exact = losses(on_gpu("train", *options, "--max-epoch", 6, "--save-dir", tmp_path / "exact"))
    first, rest = (
        losses(on_gpu("train", *options, *HALF[precision], "--max-epoch", epochs, "--save-dir", tmp_path))
        for epochs in (3, 6)
    )
    assert len(first) == len(rest) == 3 and exact[-1] < exact[0] - 0.5
    assert all(math.isfinite(loss) for loss in first + rest)
    assert abs(rest[-1] - exact[-1]) < 0.3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generates_what_the_cpu_does(architecture, trained, fairseq, on_gpu, corpus):
    def hypotheses(result):
        """Sentence number -> (score, words)."""
        return {number: (float(line.split("\t")[0]), line.split("\t")[1]) for number, line in result.field("H").items()}

    told = ("--path", trained[architecture], "--beam", 5)
    expected = hypotheses(fairseq("generate", corpus.data, *told))
    found = hypotheses(on_gpu("generate", *told))
    assert {number: words for number, (_, words) in found.items()} == {n: words for n, (_, words) in expected.items()}
    for half in ("--fp16", "--bf16"):
        narrow = hypotheses(on_gpu("generate", *told, half))
        # Of other words, now and then, which another rounding makes the best.
        assert median(abs(narrow[number][0] - score) for number, (score, _) in expected.items()) < 0.02


@pytest.mark.parametrize("kind", (FusedLabelSmoothedCrossEntropyCriterion, MinimumRiskCriterion))
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_criterions(kind, architecture):
    """Loss and gradients; minimum risk searches on the GPU."""
    s = Subject(
        architecture, {"encoder_embed_dim": 5, "encoder_hidden_size": 4, "decoder_hidden_size": 8, "dropout": 0.0}
    )
    criterion = kind(TranslationTask(TranslationConfig(), SOURCE, TARGET), sentence_avg=False, label_smoothing=0.1)
    results = []
    for model in (s.model.train(), s.copy(torch.float64).cuda().train()):
        gpu = next(model.parameters()).is_cuda
        loss, _, _ = criterion(model, utils.move_to_cuda(s.sample) if gpu else s.sample)
        loss.backward()
        results.append([loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for expected, found in zip(*results):
        same(found, expected, 1e-6)  # risks are float32


def test_a_seed_repeats_a_training(on_gpu, tmp_path):
    runs = [
        losses(on_gpu("train", "--arch", "rnn_attn", *TRAIN, *FUSED, "--max-epoch", 2, "--save-dir", tmp_path / name))
        for name in ("a", "b")
    ]
    assert runs[0] == pytest.approx(runs[1], abs=0.01)
