"""The language model in training: the stock Qwen3, and heads that ask its states what they hear (dropped afterwards)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, Qwen3Config, Qwen3ForCausalLM

from mini.composer.song import MAX_BPM, MIN_BPM
from mini.composer.tempo import CLOCKS, snap
from mini.lm.sequences import Heard
from studio.engine.lm.codes import CODES_PER_SECOND
from studio.engine.lm.vocabulary import Vocabulary

WIDTH, LAYERS, HEADS, HEAD, INNER = 160, 6, 5, 32, 448
CONTEXT = 8192
SCALE = 0.03  # spread of the embeddings at the start
SLOWEST = snap(MIN_BPM)[2] * CLOCKS + snap(MIN_BPM)[1]
TEMPOS = snap(MAX_BPM)[2] * CLOCKS + snap(MAX_BPM)[1] - SLOWEST + 1
METRES = (2, 3, 4, 6)
PULSE_LAYER, FACTS_LAYER = 3, 5  # whose output is asked for the place in beat and bar, and for the facts
ENOUGH = 15  # codes that must have been heard before the facts are asked for


_ATTENTION = "mini_plain"


def plain_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: object,
) -> tuple[Tensor, None]:
    """Causal attention as two products; torch's fused kernel spends a third of a step in its backward pass here."""
    scores = query @ key.transpose(2, 3) * scaling
    length = scores.shape[-1]
    later = torch.full((length, length), float("-inf"), dtype=scores.dtype).triu(1)
    weights = (scores + later).softmax(-1).to(value.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(_ATTENTION, plain_attention)


class Listener(nn.Module):
    """The model and what its states are asked."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.lm = Qwen3ForCausalLM(config_of(vocabulary))
        self.lm.config._attn_implementation = _ATTENTION
        self.pulse = nn.Linear(WIDTH, 6)  # cosine and sine of beat, half beat and bar
        self.facts = nn.Linear(WIDTH, TEMPOS + 24 + len(METRES))

    def states(self, ids: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Last states, and those of the two layers that are asked, each `[B, T, width]`; rows are padded at the end."""
        found = self.lm.model(
            input_ids=ids,
            position_ids=positions,
            attention_mask={"full_attention": None},  # causal: what follows a text changes nothing in it
            use_cache=False,
            output_hidden_states=True,
        )
        return found.last_hidden_state, found.hidden_states[PULSE_LAYER], found.hidden_states[FACTS_LAYER]

    def text_loss(self, states: Tensor, ids: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted sum of the cross-entropy `[B, T]` of each next token, and the sum of the weights."""
        wanted = weights[:, 1:] > 0
        logits = F.linear(states[:, :-1][wanted], self.lm.lm_head.weight).float()
        losses = F.cross_entropy(logits, ids[:, 1:][wanted], reduction="none")
        return (losses * weights[:, 1:][wanted]).sum(), weights[:, 1:].sum()

    def hearing_loss(self, pulse: Tensor, facts: Tensor, heard: Sequence[Heard | None]) -> dict[str, Tensor]:
        """How badly the states at codes name the place in beat and bar, the tempo, the key and the metre."""
        rows = [(row, one) for row, one in enumerate(heard) if one is not None]
        if not rows:
            return {}
        here = torch.cat([pulse[row, one.first : one.first + one.count] for row, one in rows])
        phases = torch.cat([torch.from_numpy(_phases(one)) for _, one in rows])
        waves = torch.cat([phases.cos(), phases.sin()], dim=1).float()
        place = (self.pulse(F.rms_norm(here, (WIDTH,))) - waves).square().mean()
        late = torch.cat([facts[row, one.first + ENOUGH : one.first + one.count] for row, one in rows])
        labels = torch.tensor([_labels(one) for _, one in rows])
        counts = torch.tensor([max(0, one.count - ENOUGH) for _, one in rows])
        parts = self.facts(F.rms_norm(late, (WIDTH,))).float().split([TEMPOS, 24, len(METRES)], dim=-1)
        losses = [F.cross_entropy(part, labels[:, i].repeat_interleave(counts)) for i, part in enumerate(parts)]
        return {"place": place, "tempo": losses[0], "key": losses[1], "metre": losses[2]}


def config_of(vocabulary: Vocabulary) -> Qwen3Config:
    """The shape of the exported model."""
    special = vocabulary.special
    return Qwen3Config(
        vocab_size=vocabulary.size,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 2000.0},  # bars of 7 to 20 codes turn visibly
        tie_word_embeddings=True,
        initializer_range=SCALE,
        bos_token_id=None,
        eos_token_id=special.end,
        pad_token_id=special.pad,
    )


@torch.no_grad()
def begin(model: Listener, vocabulary: Vocabulary, chunks: NDArray[np.float32]) -> None:
    """Let codes that sound alike, and numbers that are close, begin with similar embeddings.

    `chunks` are the latents `[codes, 5, 64]` each code stands for. Input and output share the embeddings, so both what a
    code means and which codes may stand for each other need not be learned from counting.
    """
    table = model.lm.get_input_embeddings().weight
    flat = torch.from_numpy(chunks.reshape(len(chunks), -1))
    axes = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    shape = axes.U[:, :WIDTH] * axes.S[:WIDTH].sqrt()  # between the raw latents and equal weight for all directions
    shape = shape / shape.square().sum(1).mean().sqrt() * WIDTH**0.5
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH)).Q
    codes = slice(vocabulary.first_code, vocabulary.first_code + vocabulary.codes)
    table[codes] = SCALE * (shape @ turn[: shape.shape[1]] + 0.15 * torch.randn(vocabulary.codes, WIDTH))
    numbers = torch.arange(10, 601)
    rates = torch.logspace(0, 1.6, 12)[None]  # turns over the whole range, up to 40: neighbours of 2 % stay alike
    angles = 2 * torch.pi * rates * (numbers[:, None] / 600).log() / np.log(60.0)
    waves = torch.cat([angles.cos(), angles.sin()], dim=1)
    mixed = waves @ torch.linalg.qr(torch.randn(WIDTH, waves.shape[1])).Q.T
    for number, row in zip(numbers.tolist(), mixed, strict=True):
        ids = vocabulary.encode(f"bpm: {number}")[-1:]
        table[ids] = 0.6 * table[ids] + 0.8 * SCALE * row * (WIDTH / waves.shape[1]) ** 0.5


def _phases(heard: Heard) -> NDArray[np.float64]:
    """Place in beat, half beat and bar at the beginning of each code `[codes, 3]`, in radians."""
    seconds = heard.start + np.arange(heard.count) / CODES_PER_SECOND
    beats = seconds * heard.song.played_bpm / 60
    return 2 * np.pi * beats[:, None] * np.array([1.0, 2.0, 1 / heard.song.beats])


def _labels(heard: Heard) -> list[int]:
    _, clock, fold = snap(heard.song.bpm)
    tempo = min(max(fold * CLOCKS + clock - SLOWEST, 0), TEMPOS - 1)
    return [tempo, heard.song.tonic + 12 * heard.song.minor, METRES.index(heard.song.metre)]
