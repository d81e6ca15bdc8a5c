"""A tiny model of given options, and a batch for it."""

import copy
import functools
from argparse import Namespace
from typing import Any, Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from fairseq.data import Dictionary
from reference.model import ReferenceModel
from torch import Tensor

from rnn_s2s_plugin.models.initialization import GAIN

from .options import MODELS, completed

# Words of the sentences, an end-of-sentence included in sources and put first in what the decoder reads.
SOURCE_LENGTHS = (6, 1, 4)
TARGET_LENGTHS = (5, 6, 1)


def dictionary(words: str) -> Dictionary:
    made = Dictionary()
    for word in words:
        made.add_symbol(word)
    return made


SOURCE = dictionary("abcdefghijk")
TARGET = dictionary("abcdefghijklm")


def pad(sentences: List[Tensor], left: bool, wider: int = 0) -> Tensor:
    """(sentences, longest + wider), padded on one side."""
    width = max(len(sentence) for sentence in sentences) + wider
    batch = torch.full((len(sentences), width), TARGET.pad())
    for row, sentence in zip(batch, sentences):
        row[width - len(sentence) if left else 0 :][: len(sentence)] = sentence
    return batch


def sentences(dictionary: Dictionary, lengths: Tuple[int, ...], seed: int) -> List[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first = dictionary.nspecial
    return [torch.randint(first, len(dictionary), (length,), generator=generator) for length in lengths]


class Subject:
    """The model of one trial in double precision and evaluation mode, with random values in all its parameters."""

    def __init__(self, arch: str, overrides: Dict[str, Any], seed: int = 1, as_built: bool = False):
        self.arch, self.overrides = arch, overrides
        self.is_lm = arch == "rnn_lm"
        joined = bool(overrides.get("share_all_embeddings"))
        self.source_dictionary = TARGET if joined or self.is_lm else SOURCE
        self.cfg = completed(arch, overrides)
        self.model = self.build(seed)
        if not as_built:
            # Zeros (biases) and ones (norms) would hide where a parameter is used; with so few dims the matrices of a
            # model without norms start so large that half precision shows.
            generator = torch.Generator().manual_seed(seed)
            for parameter in self.model.parameters():
                if parameter.dim() == 2:
                    parameter.data /= GAIN
                parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
        self.model.double().eval()
        self.sources = None
        if not self.is_lm:
            self.sources = [
                torch.cat([words, words.new_tensor([TARGET.eos()])])
                for words in sentences(self.source_dictionary, tuple(n - 1 for n in SOURCE_LENGTHS), 2)
            ]
        words = sentences(TARGET, TARGET_LENGTHS, 3)
        self.targets = [torch.cat([s[1:], s.new_tensor([TARGET.eos()])]) for s in words]
        self.previous = [torch.cat([s.new_tensor([TARGET.eos()]), s[1:]]) for s in words]

    def build(self, seed: int):
        """A new model of the same options."""
        torch.manual_seed(seed)
        task = Namespace(source_dictionary=self.source_dictionary, target_dictionary=TARGET)
        task.dictionary = task.output_dictionary = TARGET
        return MODELS[self.arch].build_model(Namespace(**self.overrides), task)

    @property
    def attends(self) -> bool:
        return self.cfg.attention != "none"

    @functools.cached_property
    def batch(self) -> Tuple[Optional[Tensor], Tensor]:
        """Source words, padded on the left as fairseq does, and previous target words."""
        return None if self.is_lm else pad(self.sources, left=True), pad(self.previous, left=False)

    def batch_for(self, model) -> Tuple[Optional[Tensor], Tensor]:
        """The batch where the model is."""
        device = next(model.parameters()).device
        source, previous = self.batch
        return None if source is None else source.to(device), previous.to(device)

    @functools.cached_property
    def sample(self) -> Dict[str, Any]:
        """The same as fairseq gives it to a criterion."""
        source, previous = self.batch
        if self.is_lm:
            net_input = {"src_tokens": previous, "src_lengths": previous.ne(TARGET.pad()).sum(1)}
        else:
            lengths = source.ne(TARGET.pad()).sum(1)
            net_input = {"src_tokens": source, "src_lengths": lengths, "prev_output_tokens": previous}
        target = pad(self.targets, left=False)
        ntokens = int(target.ne(TARGET.pad()).sum())
        return {"net_input": net_input, "target": target, "ntokens": ntokens, "nsentences": len(target)}

    def encode(self, source: Optional[Tensor], model=None):
        model = model or self.model
        return None if source is None else model.encoder(source, src_lengths=source.ne(TARGET.pad()).sum(1))

    def decode(self, previous: Tensor, encoder_out, model=None, **kwargs):
        """Logits (features with an adaptive softmax) and attention weights."""
        output, extra = (model or self.model).decoder(previous, encoder_out=encoder_out, **kwargs)
        return output, extra["attn"] and extra["attn"][0]

    def log_probabilities(self, output: Tensor, model=None) -> Tensor:
        """Not by ``get_normalized_probs``, which rounds to float32, but where an adaptive softmax has no logits."""
        if self.cfg.adaptive_softmax_cutoff is None:
            return torch.log_softmax(output, dim=-1)
        return (model or self.model).get_normalized_probs((output, {}), log_probs=True)

    def run(self, source: Optional[Tensor], previous: Tensor, model=None) -> Tuple[Tensor, Optional[Tensor]]:
        """Log-probabilities (rows, T, vocabulary) and attention weights (rows, T, S)."""
        output, weights = self.decode(previous, self.encode(source, model), model)
        return self.log_probabilities(output, model), weights

    @functools.cached_property
    def outputs(self) -> Tuple[Tensor, Optional[Tensor]]:
        with torch.no_grad():
            return self.run(*self.batch)

    def loss(self, model=None) -> Tensor:
        """A scalar that depends on every output for a word; the usual loss with an adaptive softmax."""
        model = model or self.model
        source, previous = self.batch_for(model)
        output, weights = self.decode(previous, self.encode(source, model), model)
        words = previous.ne(TARGET.pad())
        if self.cfg.adaptive_softmax_cutoff is not None:
            # fairseq's log-probabilities of an adaptive softmax have no gradient
            target = self.sample["target"].to(words.device).masked_fill(~words, -100)
            scores, targets = model.decoder.adaptive_softmax(output, target)
            total = sum(F.cross_entropy(s, t, reduction="sum") for s, t in zip(scores, targets) if t is not None)
        else:
            total = (self.factors(output) * torch.log_softmax(output, dim=-1))[words].sum()
        if weights is not None:
            total = total + (self.factors(weights) * weights)[words].sum()
        return total

    @staticmethod
    def factors(like: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(6)
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)

    @functools.cached_property
    def gradients(self) -> Dict[str, Optional[Tensor]]:
        """Of the loss, by name of the parameter."""
        self.model.zero_grad(set_to_none=True)
        with torch.enable_grad():  # whoever asks first
            self.loss().backward()
        return {name: parameter.grad for name, parameter in self.model.named_parameters()}

    def copy(self, dtype: torch.dtype):
        """A copy of the model in another precision."""
        return copy.deepcopy(self.model).to(dtype)

    @functools.cached_property
    def reference(self) -> ReferenceModel:
        return ReferenceModel(self.cfg, self.model.state_dict(), len(TARGET))
