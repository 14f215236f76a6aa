"""What a device's memory allows: its tier with limits and defaults, and whether a model and a request fit.

Torch-free, so pages can show limits and services can check them. Sizes are in GB of 2^30 bytes, as cards are sold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from studio.engine.checkpoint import Checkpoint, Layout
from studio.engine.convert import PREFIXES, Network
from studio.engine.model_spec import Family
from studio.engine.requests import MAX_BATCH, MAX_DURATION, MIN_DURATION
from studio.errors import CheckpointError, InvalidRequest, OutOfMemory

GB = 2**30
LM_SIZES = ("0.6B", "1.7B", "4B")
FULL_WIDTH = 2048  # hidden size of the published 2B checkpoints, which the formulas were made for
RESERVE = 1.5  # GB that stay free beside the takes (engine.md 8)
DIT = "transformer"
LEAST_TILE = 128  # frames, the smallest decoding tile
_TILES = ((24.0, 512), (16.0, 384), (12.0, 256))  # free GB, frames (engine.md 4.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The limits and defaults of devices of one size (product.md 2.12, 22 February)."""

    name: str
    durations: tuple[float, float]  # longest take in seconds with and without a language model
    batches: tuple[int, int]  # most takes with and without a language model
    lm_sizes: tuple[str, ...] = ()  # published language models that fit beside the DiT
    lm: str | None = None  # the one loaded by default
    offload: bool = False  # defaults from here on
    offload_dit: bool = False
    int8: bool = False

    def max_duration(self, with_lm: bool) -> float:
        """Return the longest take in seconds."""
        return self.durations[0 if with_lm else 1]

    def max_batch(self, with_lm: bool) -> int:
        """Return the most takes of one request."""
        return self.batches[0 if with_lm else 1]

    def check(self, duration: float, takes: int, with_lm: bool) -> None:
        """Raise InvalidRequest that names the limit when a request is beyond this tier."""
        for field, value, most in (
            ("duration", duration, self.max_duration(with_lm)),
            ("batch_size", takes, self.max_batch(with_lm)),
        ):
            if value > most:
                beside = "with a language model loaded" if with_lm else "without a language model"
                raise InvalidRequest(field, f"be at most {most:g} on devices of tier {self.name} {beside}", value)


# The size up to which a tier applies, whether a device of exactly that size belongs to it, and the tier (engine.md 8).
_TIERS: tuple[tuple[float, bool, Tier], ...] = (
    (4, True, Tier(name="1", durations=(240, 360), batches=(1, 1), offload=True, offload_dit=True, int8=True)),
    (6, True, Tier(name="2", durations=(480, 600), batches=(1, 1), offload=True, offload_dit=True, int8=True)),
    (
        8,
        True,
        Tier(
            name="3",
            durations=(480, 600),
            batches=(2, 2),
            lm_sizes=LM_SIZES[:1],
            lm="0.6B",
            offload=True,
            offload_dit=True,
            int8=True,
        ),
    ),
    (
        12,
        True,
        Tier(
            name="4",
            durations=(480, 600),
            batches=(2, 4),
            lm_sizes=LM_SIZES[:1],
            lm="0.6B",
            offload=True,
            offload_dit=True,
            int8=True,
        ),
    ),
    (
        15.5,
        False,
        Tier(name="5", durations=(480, 600), batches=(4, 4), lm_sizes=LM_SIZES[:2], lm="1.7B", offload=True, int8=True),
    ),
    (
        20,
        False,
        Tier(
            name="6a", durations=(480, 600), batches=(4, 8), lm_sizes=LM_SIZES[:2], lm="1.7B", offload=True, int8=True
        ),
    ),
    (24, True, Tier(name="6b", durations=(480, 480), batches=(8, 8), lm_sizes=LM_SIZES, lm="1.7B")),
    (math.inf, True, Tier(name="unlimited", durations=(600, 600), batches=(8, 8), lm_sizes=LM_SIZES, lm="4B")),
)
# The original gives a CPU the limits of the smallest card. They would bind the bundled model, which needs 0.1 GB, on
# machines with plenty of RAM; here a CPU has the absolute limits, and what its free RAM holds bounds each request.
CPU_TIER = Tier(name="cpu", durations=(MAX_DURATION, MAX_DURATION), batches=(MAX_BATCH, MAX_BATCH), lm_sizes=LM_SIZES)


def tier_for(gigabytes: float | None) -> Tier:
    """Return the tier of a device with that much memory in all; None is a machine without a GPU."""
    if gigabytes is None:
        return CPU_TIER
    if not gigabytes > 0:
        raise InvalidRequest("max_vram_gb", "be above 0", gigabytes)
    return next(tier for most, included, tier in _TIERS if gigabytes < most or (included and gigabytes == most))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    """How much memory a device has; device.memory_of measures it."""

    kind: str  # "cuda", "xpu", "mps" or "cpu"
    total: float  # GB
    free: float  # GB
    simulated: bool = False  # a smaller device is played, on whatever there is

    @property
    def separate(self) -> bool:
        """Whether offloading has a point: the device's memory is not the machine's own."""
        return self.simulated or self.kind in ("cuda", "xpu")

    @property
    def tier(self) -> Tier:
        """The tier of this device; a CPU has one of its own."""
        return tier_for(self.total if self.separate or self.kind == "mps" else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """How a model is kept in memory."""

    offload: bool  # parts wait in RAM while others work
    offload_dit: bool  # the DiT too
    int8: bool


def plan_for(
    memory: DeviceMemory, *, offload: bool | None = None, offload_dit: bool | None = None, int8: bool | None = None
) -> MemoryPlan:
    """Fill what was left open (None) from the device's tier.

    Raises InvalidRequest for what this device can't do; nothing asked for is dropped silently.
    """
    tier = memory.tier
    if offload and not memory.separate:
        raise InvalidRequest("offload", f"be off on {memory.kind}, which works in the machine's own memory", offload)
    if int8 and memory.kind == "mps":
        raise InvalidRequest("int8", "be off on mps, which torchao's int8 does not support", int8)
    chosen = (tier.offload and memory.separate) if offload is None else offload
    if offload_dit and not chosen:
        raise InvalidRequest("offload_dit", "be off while offload is off", offload_dit)
    return MemoryPlan(
        offload=chosen,
        offload_dit=(chosen and tier.offload_dit) if offload_dit is None else offload_dit,
        int8=(tier.int8 and memory.kind != "mps") if int8 is None else int8,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the memory of a run depends on, beside the weights."""

    family: Family
    wide: bool  # XL
    duration: float  # seconds
    takes: int
    width: int = FULL_WIDTH  # the DiT's hidden size
    number_bytes: int = 2  # 4 when it computes in float32

    @property
    def per_take(self) -> float:
        """GB of one take: the guard of engine.md 8, made for 16 bits and the published width.

        A narrower model needs proportionally less, for every activation is that much narrower.
        """
        each = 0.5 + max(0.0, 0.15 * (self.duration - 60) / 60)
        each *= 1.7 if self.wide else min(1.0, self.width / FULL_WIDTH)
        each *= 1.0 if self.family is Family.TURBO else 2.0
        return each * self.number_bytes / 2

    @property
    def needed(self) -> float:
        """GB of all takes and the reserve."""
        return self.takes * self.per_take + RESERVE

    def fitting(self, free: float) -> int:
        """Return how many takes fit into `free` GB; one is always tried, for the formula errs on the safe side."""
        return max(1, int((free - RESERVE) / self.per_take))


def check_work(work: Work, memory: DeviceMemory, attempt: Attempt) -> None:
    """Raise OutOfMemory with the numbers when more takes are asked for than fit; their number is never lowered.

    The original skips this guard when it offloads and the tier allows the batch (engine.md 8).
    """
    if work.takes <= work.fitting(memory.free):
        return
    if attempt.offload and work.takes <= memory.tier.max_batch(with_lm=False):
        return
    raise OutOfMemory(
        f"{work.takes} takes of {work.duration:g} seconds need about {work.needed:.1f} GB "
        f"({work.per_take:.2f} GB each and {RESERVE:g} GB in reserve), {memory.kind} has {memory.free:.1f} GB free, "
        f"enough for {work.fitting(memory.free)}; try {things_to_try(attempt)}"
    )


def weights_of(checkpoint: Checkpoint, number_bytes: int) -> dict[str, float]:
    """Return the GB of weights of each component when loaded with `number_bytes` a number; reads headers only.

    Raises CheckpointError that names a damaged file.
    """
    files = [(name, checkpoint.path / name) for name in (*Network, "vae", "text_encoder")]
    if checkpoint.layout is Layout.ORIGINAL:
        files = [("", checkpoint.path), ("vae", checkpoint.vae), ("text_encoder", checkpoint.text_encoder)]
    sizes: dict[str, float] = {}
    for name, folder in files:
        for key, numbers in _numbers(folder):
            part = name or next((net for net, prefix in PREFIXES.items() if key.startswith(prefix)), "other")
            sizes[part] = sizes.get(part, 0.0) + numbers * number_bytes / GB
    return sizes


def _numbers(folder: Path) -> Iterator[tuple[str, int]]:
    """Each tensor of a folder with how many numbers it holds."""
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="numpy") as tensors:
                names: list[str] = sorted(tensors.keys())
                yield from ((name, math.prod(tensors.get_slice(name).get_shape())) for name in names)
        except SafetensorError as error:
            raise CheckpointError(f"{file} is truncated or damaged: {error}") from error


def check_weights(weights: Mapping[str, float], number_bytes: int, memory: DeviceMemory, plan: MemoryPlan) -> None:
    """Raise OutOfMemory with the numbers when a model can't be held by the device, before anything is loaded."""
    kept = {name: size / number_bytes if plan.int8 and name == DIT else size for name, size in weights.items()}
    waiting = {name: size for name, size in kept.items() if plan.offload and (name != DIT or plan.offload_dit)}
    needed = sum(kept.values()) - sum(waiting.values()) + max(waiting.values(), default=0.0)
    if needed <= memory.free:
        return
    attempt = Attempt(memory.kind, offload=plan.offload, offload_dit=plan.offload_dit, int8=plan.int8)
    raise OutOfMemory(
        f"the model needs {needed:.1f} GB for its weights, {memory.kind} has {memory.free:.1f} GB free; "
        f"try {things_to_try(attempt)}"
    )


def decode_frames(memory: DeviceMemory) -> int:
    """Return how many latent frames to decode at once (engine.md 4.6)."""
    if memory.kind == "mps":
        return 32
    if not memory.separate:
        return 224  # 240 s of the published autoencoder in about 1.5 GB; 256 frames take 1.6
    return next((frames for least, frames in _TILES if memory.free >= least), LEAST_TILE)


def encode_seconds(memory: DeviceMemory) -> float:
    """Return how many seconds of audio to encode at once (engine.md 4.4)."""
    return 15.0 if not memory.separate or memory.total <= 8 else 30.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried when memory ran out; what it did not use yet is worth trying."""

    kind: str  # of the device
    takes: int = 1
    duration: float = 0.0  # seconds
    offload: bool = False
    offload_dit: bool = False
    int8: bool = False
    tile: int = 0  # latent frames decoded at once


def things_to_try(attempt: Attempt) -> str:
    """Return the three most promising changes, for the end of an OutOfMemory message."""
    separate = attempt.kind in ("cuda", "xpu")
    options = (
        (attempt.takes > 1, f"a smaller batch than {attempt.takes}"),
        (attempt.duration > MIN_DURATION, f"a shorter duration than {attempt.duration:g} seconds"),
        (separate and not attempt.offload, "offloading to the CPU"),
        (separate and attempt.offload and not attempt.offload_dit, "offloading the DiT to the CPU too"),
        (attempt.kind != "mps" and not attempt.int8, "int8 quantisation"),
        (attempt.tile > LEAST_TILE, f"a smaller decoding tile than {attempt.tile} frames"),
        (True, "a smaller checkpoint"),
        (True, "closing other programs that use this memory"),
        (attempt.kind != "cpu", "device cpu"),
        (True, "a machine with more memory"),
    )
    first, second, third = [text for applies, text in options if applies][:3]
    return f"{first}, {second} or {third}"
