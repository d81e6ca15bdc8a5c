"""A whole model, one sentence and one step at a time, from the equations in the documentation (numpy, float64).

It reads the parameters of a model of the plugin by their names and shares no code with it.
"""

import numpy as np

from .attention import attend
from .convolution import context_conv
from .loss import adaptive_log_softmax, log_softmax
from .recurrence import STEPS, VECTORS, layer_norm, read, with_empty_past, within, zero_state


class ReferenceModel:
    """
    Args:
        cfg: the completed options.
        parameters: {name: tensor}, a state dict.
        vocabulary: size of the target dictionary.
    """

    def __init__(self, cfg, parameters, vocabulary):
        self.cfg = cfg
        self.vocabulary = vocabulary
        p = {name: value.detach().double().numpy() for name, value in parameters.items()}
        self.encoder, self.decoder = within(p, "encoder."), within(p, "decoder.")

    def __call__(self, source, previous):
        """
        Args:
            source: the words of one sentence, without padding; None for a language model.
            previous: the target words y_0 … y_{T-1}.

        Returns:
            log-probabilities (T, vocabulary) and attention weights (T, S), or None without attention.
        """
        states, rnn_states = self.encode(source) if source is not None else ([], None)
        return self.decode(previous, states, rnn_states)

    # --- encoder ---------------------------------------------------------------------------------------------

    def encode(self, source):
        """s_1 … s_S and h_0 of every decoder layer (vectors only)."""
        cfg = self.cfg
        xs = [self.encoder["embed.embedding.weight"][word] for word in source]
        finals = []
        for number in range(1, cfg.encoder_layers + 1):
            normed = [layer_norm(within(self.encoder, f"stack.norms.{number - 1}."), x) for x in xs]
            layer = within(self.encoder, f"stack.layers.{number - 1}.")
            ys, final = read(cfg.encoder_cell, layer, normed, cfg.encoder_hidden_size)
            finals.append(final)
            residual = 0 < cfg.residual_from <= number
            xs = [x + y for x, y in zip(xs, ys)] if residual else ys
        states = [layer_norm(within(self.encoder, f"stack.norms.{cfg.encoder_layers}."), x) for x in xs]
        return states, self.bridge(states, finals)

    def bridge(self, states, finals):
        """h_0 (and c_0) of every decoder layer."""
        cfg, size = self.cfg, self.cfg.encoder_hidden_size
        vectors = VECTORS[cfg.decoder_cell]
        bridged = []
        for layer in range(cfg.decoder_layers):
            if cfg.bridge == "zero":
                bridged.append([np.zeros(cfg.decoder_hidden_size)] * vectors)
                continue
            maps = [within(self.decoder, f"bridge.maps.{layer * vectors + part}.") for part in range(vectors)]
            if cfg.bridge == "last":
                # With fewer decoder layers the top layers belong together; with more, the top one serves the rest.
                below = max(cfg.encoder_layers - cfg.decoder_layers, 0)
                final = finals[min(layer + below, cfg.encoder_layers - 1)]
                sources = [final[min(part, len(final) - 1)] for part in range(vectors)]
                mapped = [m["weight"] @ x + m["bias"] if m else x for m, x in zip(maps, sources)]
            else:
                if cfg.bridge == "mean":
                    summary = sum(states) / len(states)
                else:
                    summary = np.concatenate([states[-1][:size], states[0][size:]])
                mapped = [np.tanh(m["0.weight"] @ summary + m["0.bias"]) for m in maps]
            bridged.append(mapped)
        return bridged

    # --- decoder ---------------------------------------------------------------------------------------------

    def decode(self, previous, states, bridged):
        """Log-probabilities and weights at every step; each step sees what the steps before left behind."""
        cfg, p = self.cfg, self.decoder
        rnn = [self.first_state(number, bridged) for number in range(1, cfg.decoder_layers + 1)]
        below = 1 if cfg.attention_query == "first" else cfg.decoder_layers
        contexts, features, weights = [], None, [0.0] * len(states)
        log_probabilities, all_weights = [], []
        for word in previous:
            x = p["embed.embedding.weight"][word]
            if cfg.input_feeding:
                x = np.concatenate([x, np.zeros(self.features_dim()) if features is None else features])
            h = self.layers("stack", x, rnn, 1, below)
            joined = h
            if cfg.attention != "none":
                context, weights = self.context(h, states, weights, contexts)
                if cfg.decoder_layers > below:
                    h = self.layers("upper_stack", h, rnn, below + 1, cfg.decoder_layers, context)
                joined = np.concatenate([h, context])
            features = self.features(joined)
            log_probabilities.append(self.output(features))
            all_weights.append(weights)
        return np.array(log_probabilities), np.array(all_weights) if cfg.attention != "none" else None

    def layer(self, number):
        """Parameters of the decoder layer with that number, from 1, and the name of the stack it is in."""
        lower = 1 if self.cfg.attention_query == "first" else self.cfg.decoder_layers
        stack, index = ("stack", number - 1) if number <= lower else ("upper_stack", number - 1 - lower)
        return within(self.decoder, f"{stack}.layers.{index}.")

    def first_state(self, number, bridged):
        cfg, p = self.cfg, self.layer(number)
        if bridged is None:
            return zero_state(cfg.decoder_cell, p, cfg.decoder_hidden_size)
        return with_empty_past(cfg.decoder_cell, p, bridged[number - 1])

    def layers(self, stack, x, rnn, first, last, context=None):
        """The decoder layers from ``first`` to ``last``, one step; ``rnn`` has their states and gets the new ones."""
        for number in range(first, last + 1):
            y = layer_norm(within(self.decoder, f"{stack}.norms.{number - first}."), x)
            if context is not None:
                y = np.concatenate([y, context])
            y, rnn[number - 1] = STEPS[self.cfg.decoder_cell](self.layer(number), y, rnn[number - 1])
            x = x + y if 0 < self.cfg.residual_from <= number else y
        return layer_norm(within(self.decoder, f"{stack}.norms.{last - first + 1}."), x)

    def context(self, h, states, previous, contexts):
        """c'_t and the weights, averaged over heads; c_t is added to ``contexts``."""
        cfg = self.cfg
        convolves = cfg.context_conv != "none"
        p = within(self.decoder, "attention.attention." if convolves else "attention.")
        located = previous if cfg.attention_location_filters else None
        context, weights = attend(cfg.attention, p, cfg.attention_heads, h, states, located)
        contexts.append(context)
        if convolves:
            heads = cfg.context_conv_heads if cfg.context_conv == "lightweight" else 1
            shape = (cfg.context_conv_kernel, cfg.context_conv_dilation, cfg.context_conv_layers, heads)
            context = context_conv(cfg.context_conv, within(self.decoder, "attention.conv."), contexts, *shape)[-1]
        return context, sum(weights) / len(weights)

    def features(self, joined):
        """o_t = [h_t; c'_t], or a factor of it."""
        if self.cfg.decoder_out_embed_dim is None:
            return joined
        factor = self.decoder["factor.proj.weight"] @ joined
        return np.tanh(factor) if self.cfg.decoder_out_activation == "tanh" else factor

    def features_dim(self):
        cfg = self.cfg
        source = cfg.encoder_hidden_size * (2 if cfg.encoder_direction == "bidirectional" else 1)
        joined = cfg.decoder_hidden_size + (source if cfg.attention != "none" else 0)
        return joined if cfg.decoder_out_embed_dim is None else cfg.decoder_out_embed_dim

    def output(self, features):
        """log y_t."""
        if self.cfg.adaptive_softmax_cutoff is not None:
            cutoffs = [int(cutoff) for cutoff in self.cfg.adaptive_softmax_cutoff.split(",")]
            p = within(self.decoder, "adaptive_softmax.")
            return adaptive_log_softmax(p, features, [*cutoffs, self.vocabulary])
        tied = self.cfg.share_decoder_input_output_embed
        matrix = self.decoder["embed.embedding.weight" if tied else "output.weight"]
        return log_softmax(matrix @ features + self.decoder["output.bias"])
