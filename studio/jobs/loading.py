"""From the settings to how a checkpoint is loaded; needs neither torch nor a database."""

from __future__ import annotations

from studio.config import Settings
from studio.engine.setup import Attention, Quantization, Setup


def setup_of(settings: Settings) -> Setup:
    """Return how the settings want checkpoints to be loaded; "auto" leaves a choice to the device's tier."""
    switches = {"on": True, "off": False}
    return Setup(
        device=settings.device,
        dtype=settings.dtype,
        attention=Attention(settings.attention),
        compile=settings.compile == "on",
        offload=switches.get(settings.offload),
        offload_dit=switches.get(settings.offload_dit),
        quantization=None if settings.quantization == "auto" else Quantization(settings.quantization),
        max_vram_gb=settings.max_vram_gb or None,
    )
