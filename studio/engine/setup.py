"""How a checkpoint is brought into memory: what a person chooses, and what the device's tier fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from studio.engine.memory import DeviceMemory, MemoryPlan, plan_for
from studio.errors import InvalidRequest

AUTO = "auto"


class Attention(StrEnum):
    """Which kernels attention may use."""

    SDPA = "sdpa"  # torch chooses, flash kernels included
    FLASH = "flash"  # torch's flash kernel only, an error where it can't run


class Quantization(StrEnum):
    """How the DiT's weights are stored."""

    NONE = "none"
    INT8 = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The choices of Initialize (product.md G-06 to G-14); None takes the default of the device's tier."""

    device: str = AUTO
    dtype: str = AUTO
    attention: Attention = Attention.SDPA
    compile: bool = False
    offload: bool | None = None
    offload_dit: bool | None = None
    quantization: Quantization | None = None
    max_vram_gb: float | None = None  # play a device of that size

    def plan(self, memory: DeviceMemory) -> MemoryPlan:
        """Return how the model is kept in this memory; raises InvalidRequest for what the device can't do."""
        int8 = None if self.quantization is None else self.quantization is Quantization.INT8
        return plan_for(memory, offload=self.offload, offload_dit=self.offload_dit, int8=int8)

    def check_attention(self, device: str, capability: tuple[int, int] | None, dtype: str) -> None:
        """Raise InvalidRequest when flash attention is asked for where torch's kernel can't run."""
        if self.attention is not Attention.FLASH:
            return
        if device != "cuda" or capability is None or capability < (8, 0):
            raise InvalidRequest("attention", "be sdpa without a CUDA device of compute capability 8 or more", "flash")
        if dtype not in ("bfloat16", "float16"):
            raise InvalidRequest("attention", f"be sdpa with dtype {dtype}; flash attention needs 16 bits", "flash")


def setup_from(stored: Mapping[str, object]) -> Setup:
    """Rebuild a setup from what `dataclasses.asdict` gave after a way through JSON."""
    values = dict(stored)
    values["attention"] = Attention(str(values["attention"]))
    if values["quantization"] is not None:
        values["quantization"] = Quantization(str(values["quantization"]))
    return Setup(**values)  # type: ignore[arg-type]  # written by this class, so of its kinds
