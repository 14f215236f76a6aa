"""What a training will need on its device, before it begins; torch-free, so that a page can tell it.

The activations are counted from shapes: which tensors the way back keeps was measured at one size and holds at others
(tests/engine/lora/test_training_memory.py). What no count knows, gaps and short-lived copies, is `SLACK`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from studio.engine.lora.config import TARGETS, Optimizer, TrainSettings
from studio.engine.lora.layers import AdapterKind

SLACK = 1.2
CONTEXT = 500e6  # bytes a CUDA device holds before anything is on it (training.md 4.6)
_STATE: Mapping[Optimizer, float] = {  # bytes a trained number
    Optimizer.ADAMW: 8.0,  # two moments in float32
    Optimizer.ADAMW8BIT: 2.1,  # two in 8 bit, with a scale every 256
    Optimizer.ADAFACTOR: 0.1,  # rows and columns only
}
_FLOAT = 4  # bytes of an adapter's numbers, which are trained in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a DiT that its memory follows from."""

    width: int
    inner: int  # of the MLP
    queries: int  # heads times their size
    keys: int
    head: int
    layers: int
    patch: int = 2  # latent frames a token

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Shape:
        """Read a DiT's config.json, in either layout; KeyError without a size."""
        number = {
            name: int(value) for name, value in config.items() if isinstance(value, int) and not isinstance(value, bool)
        }
        head = number["head_dim"]
        return cls(
            width=number["hidden_size"],
            inner=number["intermediate_size"],
            queries=number["num_attention_heads"] * head,
            keys=number["num_key_value_heads"] * head,
            head=head,
            layers=number["num_hidden_layers"],
            patch=number.get("patch_size", 2),
        )

    def linear(self, target: str) -> tuple[int, int]:
        """Outputs and inputs of the layer that `target` names."""
        return {
            "q_proj": (self.queries, self.width),
            "k_proj": (self.keys, self.width),
            "v_proj": (self.keys, self.width),
            "o_proj": (self.width, self.queries),
            "gate_proj": (self.inner, self.width),
            "up_proj": (self.inner, self.width),
            "down_proj": (self.width, self.inner),
        }[target]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes by what takes them."""

    weights: float
    adapter: float  # its numbers, their gradients and, with ema, their average
    optimizer: float
    activations: float
    context: float = 0.0

    @property
    def total(self) -> float:
        """All together."""
        return self.weights + self.adapter + self.optimizer + self.activations + self.context


def estimate(
    shape: Shape, settings: TrainSettings, *, weights: float, frames: int, texts: int, number_bytes: int, cuda: bool
) -> Estimate:
    """Return what training needs on songs of `frames` latent frames with conditions of `texts` positions.

    `weights` are the bytes of the DiT on the device, `number_bytes` those of one of its numbers (2 or 4).
    """
    numbers = parameters(shape, settings)
    longest = min(frames, settings.crop_frames) if settings.crop_frames else frames
    kept = settings.batch_size * activations(shape, settings, longest, texts, number_bytes)
    return Estimate(
        weights=weights,
        adapter=numbers * _FLOAT * (3 if settings.ema else 2),
        optimizer=numbers * _STATE[settings.optimizer],
        activations=kept * SLACK,
        context=CONTEXT if cuda else 0.0,
    )


def parameters(shape: Shape, settings: TrainSettings) -> int:
    """Return how many numbers the adapter has."""
    return shape.layers * sum(_numbers(settings, *shape.linear(target)) for target, _ in _adapted(settings))


def activations(shape: Shape, settings: TrainSettings, frames: int, texts: int, number_bytes: int) -> float:
    """Return the bytes that one song keeps for the way back; with checkpointing one layer's and every layer's input."""
    tokens = -(-frames // shape.patch)
    a_token = 4.15 * shape.width + 6.25 * shape.queries + 3 * shape.inner + 3 * shape.keys + 8 * shape.head
    layer = number_bytes * (tokens * a_token + texts * 3 * shape.keys) + _FLOAT * _adapters_own(
        shape, settings, tokens, texts
    )
    masks = 2.0 * tokens * tokens
    if settings.checkpointing:
        return layer + masks + shape.layers * number_bytes * tokens * shape.width
    return shape.layers * layer + masks


def _adapters_own(shape: Shape, settings: TrainSettings, tokens: int, texts: int) -> float:
    """Numbers that the adapter of one layer keeps: its inputs after dropout, or the difference of the weights."""
    numbers = 0.0
    for target, crossing in _adapted(settings):
        outputs, inputs = shape.linear(target)
        length = texts if crossing and target in ("k_proj", "v_proj") else tokens
        if settings.adapter is not AdapterKind.LORA:
            numbers += outputs * inputs
            continue
        numbers += settings.rank * length + (2 * inputs * length if settings.dropout else 0)
        if settings.weight_decompose:
            numbers += 2 * outputs * length + 1.5 * outputs * inputs
    return numbers


def _adapted(settings: TrainSettings) -> list[tuple[str, bool]]:
    """The adapted linear layers of a block: what they are called, and whether they are the cross-attention's."""
    crossings = {"both": (False, True), "self": (False,), "cross": (True,)}[settings.attention]
    found = []
    for target in settings.targets:
        if TARGETS[target].endswith("proj"):  # of the MLP
            found.append((target, False))
        else:
            found += [(target, crossing) for crossing in crossings]
    return found


def _numbers(settings: TrainSettings, outputs: int, inputs: int) -> int:
    rank = settings.rank
    if settings.adapter is AdapterKind.LOHA:
        return 2 * rank * (outputs + inputs)
    if settings.adapter is AdapterKind.LORA:
        return rank * (outputs + inputs) + (outputs if settings.weight_decompose else 0)
    (rows, lower), (columns, right) = (_blocks(size, settings.factor) for size in (outputs, inputs))
    parted = settings.decompose_both and rank < max(rows, columns) / 2
    first = rank * (rows + columns) if parted else rows * columns
    second = rank * (lower + right) if rank < max(lower, right) / 2 else lower * right
    return first + second


def _blocks(size: int, factor: int) -> tuple[int, int]:
    """The two whole numbers that LoKr divides a side into: the smaller is at most `factor`, or the square root."""
    if factor > 0 and size % factor == 0:
        return factor, size // factor
    most = size if factor == -1 else factor
    smaller = max(part for part in range(1, int(size**0.5) + 1) if size % part == 0 and part <= most)
    return smaller, size // smaller
