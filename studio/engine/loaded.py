"""A checkpoint in memory: its parts, where each is, what was done to it, and the memory left beside it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from studio.engine.checkpoint import Checkpoint
from studio.engine.device import choose_device, choose_dtype, memory_of, name_of, within_memory
from studio.engine.lora.adapters import Adapters
from studio.engine.memory import (
    GB,
    Attempt,
    DeviceMemory,
    MemoryPlan,
    Work,
    check_weights,
    decode_frames,
    things_to_try,
    weights_of,
)
from studio.engine.memory import check_work as check_memory
from studio.engine.model_spec import ModelSpec
from studio.engine.quantize import quantize, weight_bytes
from studio.engine.residency import HOME, Residency
from studio.engine.run import Run
from studio.engine.setup import Setup

if TYPE_CHECKING:  # takes eight seconds to import; `bring` does
    from studio.engine.loader import Components

TEXT, CONDITION, VAE, DIT = "text_encoder", "condition_encoder", "vae", "transformer"
CODES = ("audio_tokenizer", "audio_token_detokenizer")
NAMES = (TEXT, CONDITION, *CODES, DIT, VAE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The parts of one checkpoint, ready for inference."""

    spec: ModelSpec
    parts: Components
    residency: Residency
    adapters: Adapters
    setup: Setup
    plan: MemoryPlan

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.parts.device

    def using(self, *names: str) -> AbstractContextManager[None]:
        """Have these parts on the device inside the block."""
        return self.residency.using(*names)

    def memory(self) -> DeviceMemory:
        """Measure the device's memory."""
        return memory_of(self.device, self.setup.max_vram_gb, held=self._held())

    def attempt(self, takes: int = 1, duration: float = 0.0) -> Attempt:
        """Say what a run uses already, for what is worth trying when memory runs out."""
        plan, memory = self.plan, self.memory()
        return Attempt(
            memory.kind,
            takes=takes,
            duration=duration,
            offload=plan.offload,
            offload_dit=plan.offload_dit,
            int8=plan.int8,
            tile=decode_frames(memory),
        )

    def check_work(self, takes: int, duration: float) -> None:
        """Raise InvalidRequest beyond the device's tier, OutOfMemory when the takes can't fit beside the weights."""
        memory = self.memory()
        memory.tier.check(duration, takes, with_lm=False)
        work = Work(
            family=self.spec.family,
            wide=self.spec.wide,
            duration=duration,
            takes=takes,
            width=self.parts.transformer.config["hidden_size"],
            number_bytes=self.parts.dtype.itemsize,
        )
        check_memory(work, memory, self.attempt(takes, duration))

    def status(self) -> Mapping[str, object]:
        """Return everything a person wants to know of what is loaded, JSON-ready (product.md G-17)."""
        memory = self.memory()
        return {
            "model": self.spec.name,
            "family": self.spec.family.value,
            "device": str(self.device),
            "dtype": name_of(self.parts.dtype),
            "vae_dtype": name_of(self.parts.vae.dtype),
            "attention": self.setup.attention.value,
            "compiled": self.setup.compile,
            "offload_to_cpu": self.plan.offload,
            "offload_dit_to_cpu": self.plan.offload_dit,
            "quantization": "int8" if self.plan.int8 else "none",
            "parts": {name: _megabytes(part) for name, part in _modules(self.parts).items()},
            "memory_gb": {"total": round(memory.total, 2), "free": round(memory.free, 2)},
            "tier": memory.tier.name,
            "max_duration": min(self.spec.max_duration, memory.tier.max_duration(with_lm=False)),
            "max_batch": memory.tier.max_batch(with_lm=False),
            **self.adapters.state(),
        }

    def _held(self) -> float:
        """GB that the parts take on the device."""
        here = self.residency.on_device()
        return sum(weight_bytes(part) for name, part in _modules(self.parts).items() if name in here) / GB


def bring(checkpoint: Checkpoint, setup: Setup, run: Run) -> Loaded:
    """Load a verified checkpoint as `setup` wants it.

    Raises what `room_for` raises before anything is loaded, Cancelled, and OutOfMemory.
    """
    device, dtype, plan = room_for(checkpoint, setup)
    attempt = Attempt(device.type, offload=plan.offload, offload_dit=plan.offload_dit, int8=plan.int8)
    from studio.engine.loader import load_components  # here, because it costs eight seconds

    def work() -> Loaded:
        home = HOME if plan.offload else device
        parts = load_components(checkpoint, device=device, dtype=dtype, run=run, home=home)
        return hold(checkpoint.spec, parts, setup, plan)

    return within_memory(device, work, things_to_try(attempt))


def room_for(checkpoint: Checkpoint, setup: Setup) -> tuple[torch.device, torch.dtype, MemoryPlan]:
    """Return how a verified checkpoint would be kept on this machine; reads the headers of its files only.

    Raises InvalidRequest for what this machine can't do (nothing is replaced), CheckpointError, and OutOfMemory where
    the weights need more than the device has free now.
    """
    device = choose_device(setup.device)
    dtype = choose_dtype(setup.dtype, device)
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    setup.check_attention(device.type, capability, name_of(dtype))
    memory = memory_of(device, setup.max_vram_gb)
    plan = setup.plan(memory)
    check_weights(weights_of(checkpoint, dtype.itemsize), dtype.itemsize, memory, plan)
    return device, dtype, plan


def hold(spec: ModelSpec, parts: Components, setup: Setup, plan: MemoryPlan) -> Loaded:
    """Keep parts that are in memory already as `plan` says; they compute on `parts.device`."""
    if plan.int8:
        quantize(parts.transformer)
    return Loaded(
        spec=spec,
        parts=parts,
        residency=Residency(_modules(parts), parts.device, offload=plan.offload, offload_dit=plan.offload_dit),
        adapters=Adapters(parts.transformer),
        setup=setup,
        plan=plan,
    )


def _modules(parts: Components) -> dict[str, nn.Module]:
    """The parts a checkpoint has, by name."""
    found = {name: getattr(parts, name) for name in NAMES}
    return {name: part for name, part in found.items() if part is not None}


def _megabytes(part: nn.Module) -> float:
    return round(weight_bytes(part) / 1e6, 1)
