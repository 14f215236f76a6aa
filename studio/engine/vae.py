"""From latents to sound, in tiles so that memory doesn't grow with the length (engine.md 4.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from studio.engine.audio.shape import Audio
from studio.engine.device import free_memory
from studio.engine.model_spec import Sound, VaeClass
from studio.errors import SilentOutput

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from studio.engine.loader import Autoencoder

OVERLAP = 64  # frames a tile sees beyond its own on each side
_CHUNKS = ((24.0, 512), (16.0, 384), (12.0, 256))  # free GB of CUDA memory, frames


@dataclass(frozen=True, slots=True)
class Tile:
    """One window of latent frames; only its core `[start, end)` is kept."""

    window_start: int
    start: int
    end: int
    window_end: int


def chunk_frames(device: torch.device) -> int:
    """Return how many frames to decode at once on `device`, by its free memory."""
    if device.type == "mps":
        return 32
    free = free_memory(device)
    if free is None:
        return 256
    return next((chunk for least, chunk in _CHUNKS if free >= least), 128)


def tiles(frames: int, chunk: int) -> list[Tile]:
    """Cut `frames` into windows of at most `chunk` frames; one window when everything fits.

    The overlap is halved until a core is left between the two margins.
    """
    if frames <= chunk:
        return [Tile(0, 0, frames, frames)]
    overlap = OVERLAP
    while chunk - 2 * overlap <= 0:
        overlap //= 2
    stride = chunk - 2 * overlap
    return [
        Tile(max(0, start - overlap), start, end, min(frames, end + overlap))
        for start in range(0, frames, stride)
        for end in [min(start + stride, frames)]
    ]


def decode(
    vae: Autoencoder, sound: Sound, latents: Tensor, chunk: int, before_tile: Callable[[int], None] | None = None
) -> Audio:
    """Decode the latents of one take `[T, C]` to float32 `[channels, T * hop_length]` on the CPU.

    `before_tile` hears the number of each tile before it is decoded; it may raise to stop. Raises SilentOutput when the
    audio is not finite, as half precision can make it.
    """
    frames = latents.shape[0]
    audio = np.empty((sound.channels, frames * sound.hop_length), dtype=np.float32)
    ready = latents.T[None].to(vae.dtype)
    for number, tile in enumerate(tiles(frames, chunk)):
        if before_tile is not None:
            before_tile(number)
        decoded = _decode_window(vae, sound, ready[..., tile.window_start : tile.window_end], tile.window_start)
        trim, hop = tile.start - tile.window_start, sound.hop_length
        core = decoded[0, :, trim * hop : (trim + tile.end - tile.start) * hop]
        audio[:, tile.start * hop : tile.end * hop] = core.float().cpu().numpy()
    if not np.isfinite(audio).all():
        raise SilentOutput("the decoded audio holds values that are not numbers; nothing can be heard in it")
    return audio


def _decode_window(vae: Autoencoder, sound: Sound, window: Tensor, start: int) -> Tensor:
    """Decode `[1, C, n]` to `[1, channels, n * hop_length]`."""
    if sound.vae_class is VaeClass.SPECTRAL:
        return vae.decode(window, start_frame=start).sample  # its oscillators' phases follow absolute time
    return vae.decode(window).sample
