"""The language model in training: the stock Qwen3, and heads that ask its states what they hear, dropped afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, Qwen3Config, Qwen3ForCausalLM

from mini.composer import Song
from mini.composer.song import GENRES, MAX_BPM, MIN_BPM, TRACKS
from mini.composer.tempo import CLOCKS, snap
from mini.lm.sequences import Heard
from studio.engine.lm.codes import CODES_PER_SECOND
from studio.engine.lm.vocabulary import Vocabulary
from studio.engine.spectral.layout import NOISE

WIDTH, LAYERS, HEADS, HEAD, INNER = 160, 6, 10, 16, 448
CONTEXT = 8192
SCALE = 0.03  # spread of the embeddings at the start
SLOWEST = snap(MIN_BPM)[2] * CLOCKS + snap(MIN_BPM)[1]
TEMPOS = snap(MAX_BPM)[2] * CLOCKS + snap(MAX_BPM)[1] - SLOWEST + 1
METRES = (2, 3, 4, 6)
POOL_LAYER, PULSE_LAYER, FACTS_LAYER = 2, 3, 5  # whose output is asked, see `hearing_loss`
HIT_CODES = 64  # values of a code's first three digits, which say its hits; the rest says its notes (`mini.codes`)
LONGEST_ECHO = 64  # frames
LOUD = 6.0
CONSTANT = 0.12  # first number of every embedding, from which heads can make a query that is always the same
LAGS = ((1, 2, 3, 4, 5, 6, 7, 8, 10, 12), (5, 9, 11, 13, 14, 16))  # tokens back that heads of the first layers look
FOCUS = (2.2, 1.7, 1.5)  # how sharply, at the three fastest rotations
THETA = 2000.0  # rotations a token from 1 rad down; bars of 7 to 20 codes turn visibly
COPY_LAYER, COPY_HEADS = 3, 4  # whose first heads are told where to look when a caption is copied
STRETCH = 10  # codes that must tell a right caption from a wrong one
ENOUGH = 15  # codes that must have been heard before the facts are asked for
INSIDE = torch.cat([torch.arange(0, HEAD, 2), torch.arange(0, HEAD, 2) + HEAD])  # where an exported head has numbers
ROWS = torch.cat([head * 2 * HEAD + INSIDE for head in range(HEADS)])

_ATTENTION = "mini_plain"
_watched: list[Tensor] = []  # scores `[B, heads, T, T]` of the heads that learn to copy, in the last forward pass


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
    length = query.shape[2]
    later = torch.full((length, length), float("-inf"), dtype=query.dtype).triu(1)
    scores = query @ key.transpose(2, 3) * scaling + later
    if module.layer_idx == COPY_LAYER:
        _watched[:] = [scores[:, :COPY_HEADS]]
    weights = scores.softmax(-1).to(value.dtype)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(_ATTENTION, plain_attention)


class Listener(nn.Module):
    """The model and what its states are asked."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.lm = Qwen3ForCausalLM(config_of(vocabulary))
        self.lm.config._attn_implementation = _ATTENTION
        self.codes = slice(vocabulary.first_code, vocabulary.first_code + vocabulary.codes)
        self.hit_rows = nn.Parameter(torch.zeros(HIT_CODES, WIDTH))
        self.note_rows = nn.Parameter(torch.zeros(vocabulary.codes // HIT_CODES, WIDTH))
        self.pulse = nn.Linear(WIDTH, 6)  # cosine and sine of beat, half beat and bar
        self.facts = nn.Linear(WIDTH, TEMPOS + 24 + len(METRES))
        self.tempo = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, TEMPOS))
        self.echo = nn.Linear(WIDTH, 2 * LONGEST_ECHO)
        self.band = nn.Linear(WIDTH, len(TRACKS) + len(GENRES))

    def table(self) -> Tensor:
        """The embeddings, `[tokens, width]`: those of codes are sums of one for the hits, one for the notes and a rest.

        What is learned of a rhythm with one chord is so learned of it with every chord.
        """
        whole = self.lm.get_input_embeddings().weight
        sums = (self.note_rows[:, None] + self.hit_rows[None]).flatten(0, 1)
        return torch.cat([whole[: self.codes.start], whole[self.codes] + sums, whole[self.codes.stop :]])

    @torch.no_grad()
    def fold(self) -> Qwen3ForCausalLM:
        """The model alone, with those sums written into its embeddings."""
        self.lm.get_input_embeddings().weight.copy_(self.table())
        self.hit_rows.zero_()
        self.note_rows.zero_()
        return self.lm

    def states(self, ids: Tensor, positions: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Last states, and those after every layer, each `[B, T, width]`; rows are padded at the end."""
        found = self.lm.model(
            inputs_embeds=F.embedding(ids, self.table()),
            position_ids=positions,
            attention_mask={"full_attention": None},  # causal: what follows a text changes nothing in it
            use_cache=False,
            output_hidden_states=True,
        )
        return found.last_hidden_state, found.hidden_states

    def text_loss(self, states: Tensor, ids: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted sum of the cross-entropy `[B, T]` of each next token, and the sum of the weights."""
        wanted = weights[:, 1:] > 0
        logits = F.linear(states[:, :-1][wanted], self.table()).float()
        losses = F.cross_entropy(logits, ids[:, 1:][wanted], reduction="none")
        return (losses * weights[:, 1:][wanted]).sum(), weights[:, 1:].sum()

    def contrast_loss(self, states: Tensor, ids: Tensor, heard: Sequence[Heard | None]) -> Tensor:
        """How little the codes of texts in pairs, right caption and wrong, tell which caption is right.

        Each stretch of `STRETCH` codes must tell it, or a plan would follow its own first codes and not the caption.
        """
        spans = [slice(one.first, one.first + one.count) for one in heard if one is not None]
        logits = torch.cat([states[row, span.start - 1 : span.stop - 1] for row, span in enumerate(spans)])
        wanted = torch.cat([ids[row, span] for row, span in enumerate(spans)])
        losses = F.cross_entropy(F.linear(logits, self.table()).float(), wanted, reduction="none")
        told = losses.split([span.stop - span.start for span in spans])
        found = []
        for right, wrong in zip(told[::2], told[1::2], strict=True):
            whole = len(right) // STRETCH * STRETCH
            found.append(F.softplus((right - wrong)[:whole].view(-1, STRETCH).sum(1)))
        return torch.cat(found).mean()

    def copy_loss(self, copied: Sequence[Sequence[tuple[int, int]]]) -> Tensor | None:
        """How little some heads look at the word that comes next where a caption is copied; None where none is.

        Left to the words alone, copying was not learned within a million tokens.
        """
        places = [(row, here, there) for row, pairs in enumerate(copied) for here, there in pairs]
        if not places:
            return None
        rows, here, there = torch.tensor(places).T
        looks = _watched[0][rows, :, here].float().log_softmax(-1)  # [pairs, heads, T]
        return -looks[torch.arange(len(rows)), :, there].mean()

    def hearing_loss(self, layers: Sequence[Tensor], heard: Sequence[Heard | None]) -> dict[str, Tensor]:
        """How badly the states at codes name what can be heard.

        An early layer's running mean must name the tempo, so that each code gathers what repeats around it; the next
        one's states the place in beat and bar; a late one's states tempo, key, metre, style and who plays. Where these
        were told before the codes, the late states must know them from the first code on.
        """
        rows = [(row, one, slice(one.first, one.first + one.count)) for row, one in enumerate(heard) if one is not None]
        if not rows:
            return {}
        labels = torch.tensor([labels_of(one.song) for _, one, _ in rows])
        skipped = [0 if one.told else ENOUGH for _, one, _ in rows]
        counts = torch.tensor([one.count - few for (_, one, _), few in zip(rows, skipped, strict=True)])
        wanted = labels.repeat_interleave(counts, 0).T
        phases = torch.cat([torch.from_numpy(_phases(one)) for _, one, _ in rows])
        waves = torch.cat([phases.cos(), phases.sin()], dim=1).float()
        here = torch.cat([layers[PULSE_LAYER][row, span] for row, _, span in rows])
        late = torch.cat(
            [layers[FACTS_LAYER][row, span][few:] for (row, _, span), few in zip(rows, skipped, strict=True)]
        )
        early = [(row, one, span) for row, one, span in rows if not one.told]
        parts = self.facts(F.rms_norm(late, (WIDTH,))).float().split([TEMPOS, 24, len(METRES)], dim=-1)
        tempo, key, metre = (F.cross_entropy(part, truth) for part, truth in zip(parts, wanted, strict=True))
        found = {
            "place": (self.pulse(F.rms_norm(here, (WIDTH,))) - waves).square().mean(),
            "tempo": tempo,
            "key": key,
            "metre": metre,
            "band": F.binary_cross_entropy_with_logits(
                self.band(F.rms_norm(late, (WIDTH,))).float(),
                torch.tensor([_band(one.song) for _, one, _ in rows]).repeat_interleave(counts, 0),
            ),
        }
        if early:
            means = torch.cat([_running_mean(layers[POOL_LAYER][row, span])[ENOUGH:] for row, _, span in early])
            tempos = torch.tensor([labels_of(one.song)[0] for _, one, _ in early])
            tempos = tempos.repeat_interleave(torch.tensor([one.count - ENOUGH for _, one, _ in early]))
            found["pooled"] = F.cross_entropy(self.tempo(F.rms_norm(means, (WIDTH,))).float(), tempos)
        return found


def config_of(vocabulary: Vocabulary, head: int = HEAD) -> Qwen3Config:
    """The shape of the model with heads of that size."""
    special = vocabulary.special
    return Qwen3Config(
        vocab_size=vocabulary.size,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=head,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        tie_word_embeddings=True,
        initializer_range=SCALE,
        bos_token_id=None,
        eos_token_id=special.end,
        pad_token_id=special.pad,
    )


@torch.no_grad()
def widened(model: Qwen3ForCausalLM, vocabulary: Vocabulary) -> Qwen3ForCausalLM:
    """The same function with heads twice as wide, half of them empty: vLLM knows no heads below 32 on a CPU.

    A pair of numbers that turned at one speed goes where the wider head turns at that speed. The norm over twice as
    many numbers and the other scale of the scores are made up for in the norms' weights.
    """
    wide = Qwen3ForCausalLM(config_of(vocabulary, 2 * HEAD))
    values = model.state_dict()
    for name, target in wide.state_dict().items():
        value = values[name]
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            target.fill_(1.0)[INSIDE] = value * 2**-0.25
        elif name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            target.zero_()[ROWS] = value
        elif name.endswith("o_proj.weight"):
            target.zero_()[:, ROWS] = value
        else:
            target.copy_(value)
    return wide


@torch.no_grad()
def look_back(model: Listener, sizes: Sequence[float]) -> None:
    """Let heads of the first layers begin by looking a fixed number of tokens back, one lag each.

    What repeats after a beat or a bar can then be found by multiplying what stands at both ends; left to themselves,
    heads had found no lag after half a million tokens. `sizes` are the typical sizes of the states before each layer.
    """
    model.lm.get_input_embeddings().weight[:, 0] = CONSTANT
    rotations = [THETA ** (-2 * pair / HEAD) for pair in range(len(FOCUS))]
    for layer, lags, size in zip(model.lm.model.layers, LAGS, sizes, strict=False):
        attention = layer.self_attn
        for head, lag in enumerate(lags):
            for pair, rotation in enumerate(rotations):
                for half, (ours, theirs) in enumerate(((np.cos(rotation * lag), 1.0), (-np.sin(rotation * lag), 0.0))):
                    row = head * HEAD + pair + half * HEAD // 2
                    for projection, value in ((attention.q_proj, ours), (attention.k_proj, theirs)):
                        projection.weight[row] = 0.0
                        projection.weight[row, 0] = 1.5 * size / CONSTANT * value
        for norm in (attention.q_norm, attention.k_norm):
            for pair, focus in enumerate(FOCUS):
                norm.weight[[pair, pair + HEAD // 2]] = focus


@torch.no_grad()
def begin(model: Listener, chunks: NDArray[np.float32], size: float) -> None:
    """Let codes that sound alike begin with similar embeddings of length `size`.

    `chunks` are the latents `[codes, 5, 64]` each code stands for. Input and output share the embeddings, so neither
    what a code means nor which codes may stand for each other need be learned from counting.
    """
    table = model.lm.get_input_embeddings().weight
    flat = torch.from_numpy(chunks.reshape(len(chunks), -1))
    axes = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    shape = axes.U[:, :WIDTH] * axes.S[:WIDTH].sqrt()  # between the raw latents and equal weight for all directions
    shape = shape / shape.square().sum(1).mean().sqrt()
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH)).Q
    rows = size * (shape @ turn[: shape.shape[1]])
    rows[:, 0] = 0
    grid = rows.view(-1, HIT_CODES, WIDTH)  # notes, hits
    model.note_rows.copy_(grid.mean(1))
    model.hit_rows.copy_(grid.mean(0) - grid.mean((0, 1)))
    rest = grid - model.note_rows[:, None] - model.hit_rows[None]
    table[model.codes] = 0.5 * rest.flatten(0, 1)
    table[model.codes, 0] = table[: model.codes.start, 0].mean()


@torch.no_grad()
def part_again(model: Listener) -> None:
    """Part the embeddings of an exported model's codes into those of hits, of notes and a rest; the sums stay."""
    table = model.lm.get_input_embeddings().weight
    grid = table[model.codes].view(-1, HIT_CODES, WIDTH)  # notes, hits
    model.note_rows.copy_(grid.mean(1))
    model.hit_rows.copy_(grid.mean(0) - grid.mean((0, 1)))
    table[model.codes] = (grid - model.note_rows[:, None] - model.hit_rows[None]).flatten(0, 1)


@torch.no_grad()
def speak_up(model: Listener) -> None:
    """The same function with embeddings that later layers still see beside what the first ones add."""
    model.lm.get_input_embeddings().weight.mul_(LOUD)
    model.hit_rows.mul_(LOUD)
    model.note_rows.mul_(LOUD)
    model.lm.model.norm.weight.div_(LOUD)


@torch.no_grad()
def begin_numbers(model: Listener, vocabulary: Vocabulary) -> None:
    """Let numbers that are close begin with similar embeddings: waves of their logarithm."""
    table = model.lm.get_input_embeddings().weight
    numbers = torch.arange(10, 601)
    rates = torch.logspace(0, 1.6, 12)[None]  # turns over the whole range, up to 40: neighbours of 2 % stay alike
    angles = 2 * torch.pi * rates * (numbers[:, None] / 600).log() / np.log(60.0)
    waves = torch.cat([angles.cos(), angles.sin()], dim=1)
    mixed = waves @ torch.linalg.qr(torch.randn(WIDTH, waves.shape[1])).Q.T
    for number, row in zip(numbers.tolist(), mixed, strict=True):
        ids = vocabulary.encode(f"bpm: {number}")[-1:]
        table[ids] = 0.6 * table[ids] + 0.8 * SCALE * row * (WIDTH / waves.shape[1]) ** 0.5


@torch.no_grad()
def read_narrow(model: Listener, folder: Path) -> None:
    """Take over an exported model: what `widened` did, undone."""
    values = load_file(folder / "model.safetensors")
    for name, target in model.lm.state_dict().items():
        if name == "lm_head.weight":  # tied
            continue
        value = values[name].float()
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            value = value[INSIDE] * 2**0.25
        elif name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            value = value[ROWS]
        elif name.endswith("o_proj.weight"):
            value = value[:, ROWS]
        target.copy_(value)


def _running_mean(states: Tensor) -> Tensor:
    """Mean of the states so far `[codes, width]`."""
    counts = torch.arange(1, len(states) + 1)[:, None]
    return states.float().cumsum(0) / counts


def _phases(heard: Heard) -> NDArray[np.float64]:
    """Place in beat, half beat and bar at the beginning of each code `[codes, 3]`, in radians."""
    seconds = heard.start + np.arange(heard.count) / CODES_PER_SECOND
    beats = seconds * heard.song.played_bpm / 60
    return 2 * np.pi * beats[:, None] * np.array([1.0, 2.0, 1 / heard.song.beats])


def _band(song: Song) -> list[float]:
    """Who plays, and which style it is, as zeros and ones."""
    return [float(track in song.tracks) for track in TRACKS] + [float(genre == song.genre) for genre in GENRES]


def labels_of(song: Song) -> list[int]:
    """Numbers of the song's tempo on the tempo grid, of its key and of its metre."""
    _, clock, fold = snap(song.bpm)
    tempo = min(max(fold * CLOCKS + clock - SLOWEST, 0), TEMPOS - 1)
    return [tempo, song.tonic + 12 * song.minor, METRES.index(song.metre)]


def echoes(chunks: NDArray[np.float32], codes: NDArray[np.int64]) -> Tensor:
    """How alike the hits of each code `[B, N]` and those 1 to 64 frames before are `[B, N, 128]`: low ones, then all.

    It is what a tempo is found from, and follows from the codes alone: something exact to teach layers that must hear.
    """
    strength = np.stack([chunks[..., 51:53].mean(-1), chunks[..., NOISE].mean(-1)])  # [2, codes, 5]
    strength = (strength - strength.mean((1, 2), keepdims=True)) / strength.std((1, 2), keepdims=True)
    frames = torch.from_numpy(strength[:, codes].astype(np.float32)).flatten(2)  # [2, B, 5 N]
    padded = F.pad(frames, (LONGEST_ECHO, 0))
    length = frames.shape[-1]
    lagged = torch.stack(
        [padded[..., LONGEST_ECHO - lag :][..., :length] for lag in range(1, LONGEST_ECHO + 1)], dim=-1
    )
    products = (frames[..., None] * lagged).unflatten(2, (-1, 5)).mean(3)  # [2, B, N, lags]
    return products.permute(1, 2, 0, 3).flatten(2)
