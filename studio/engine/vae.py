"""From latents to sound and back, in tiles so that memory doesn't grow with the length (engine.md 4.4, 4.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from studio.engine.audio.shape import Audio
from studio.engine.model_spec import Sound, VaeClass
from studio.errors import AudioError, SilentOutput

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from diffusers.models.autoencoders.autoencoder_oobleck import OobleckDecoder, OobleckDecoderBlock, Snake1d

    from studio.engine.loader import Autoencoder

OVERLAP = 64  # frames a tile sees beyond its own on each side
ENCODE_OVERLAP = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Tile:
    """One window of latent frames; only its core `[start, end)` is kept."""

    window_start: int
    start: int
    end: int
    window_end: int


def encode_tiles(sound: Sound, samples: int, chunk: int) -> list[Tile]:
    """Cut the frames of `samples` samples into the windows `encode` works through, two seconds of overlap each."""
    return tiles(samples // sound.hop_length, chunk, whole_frames(sound, ENCODE_OVERLAP))


def whole_frames(sound: Sound, seconds: float) -> int:
    """Return how many frames `seconds` come to, at least one."""
    return max(1, round(seconds * sound.sample_rate / sound.hop_length))


def tiles(frames: int, chunk: int, overlap: int = OVERLAP) -> list[Tile]:
    """Cut `frames` into windows of at most `chunk` frames; one window when everything fits.

    The overlap is halved until a core is left between the two margins.
    """
    if frames <= chunk:
        return [Tile(0, 0, frames, frames)]
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
    return _decode_oobleck(vae.decoder, window)


def _decode_oobleck(decoder: OobleckDecoder, latents: Tensor) -> Tensor:
    """Do what its forward does with fewer tensors alive: the widest of a tile takes a quarter of a GB."""
    hidden: Tensor = decoder.conv1(latents)
    for block in cast("Iterable[OobleckDecoderBlock]", decoder.block):
        hidden = block.conv_t1(_snake(block.snake1, hidden))
        for unit in (block.res_unit1, block.res_unit2, block.res_unit3):
            mixed = unit.conv1(_snake(unit.snake1, hidden))
            hidden.add_(unit.conv2(_snake(unit.snake2, mixed)))
    sound: Tensor = decoder.conv2(_snake(decoder.snake1, hidden))
    return sound


def _snake(snake: Snake1d, hidden: Tensor) -> Tensor:
    """Return x + sin(a·x)² / b."""
    alpha, beta = (part.exp() if snake.logscale else part for part in (snake.alpha, snake.beta))
    return (alpha * hidden).sin_().square_().mul_((beta + 1e-9).reciprocal()).add_(hidden)


def encode(
    vae: Autoencoder,
    sound: Sound,
    audio: Audio,
    chunk: int,
    generator: torch.Generator | None = None,
    before_tile: Callable[[int], None] | None = None,
) -> Tensor:
    """Encode `audio` `[channels, S]` to float32 latents `[S // hop_length, C]` on the autoencoder's device.

    With a CPU `generator` the posterior is sampled, mean + std·noise (engine.md 4.4), where the noise is drawn at once
    for the whole clip, so that a seed gives the same latents whatever the tiles and the device; without one its mean is
    returned. Samples after the last whole frame colour that frame but get none of their own: extend the audio first
    (span.py). `before_tile` hears the number of each tile before it is encoded; it may raise to stop. Raises AudioError
    for less than a frame, and when latents are not finite, as half precision can make them.
    """
    frames = audio.shape[1] // sound.hop_length
    if frames == 0:
        raise AudioError(f"the audio has {audio.shape[1]} samples, less than one latent frame of {sound.hop_length}")
    means, stds = [], []
    for number, tile in enumerate(encode_tiles(sound, audio.shape[1], chunk)):
        if before_tile is not None:
            before_tile(number)
        mean, std = _encode_window(vae, _window(sound, audio, tile).to(vae.device, vae.dtype))
        core = slice(tile.start - tile.window_start, tile.end - tile.window_start)
        means.append(mean[:, core])
        stds.append(std[:, core])
    latents = torch.cat(means, dim=1).T
    if generator is not None:
        noise = torch.randn(frames, sound.latent_channels, generator=generator)
        latents = latents + torch.cat(stds, dim=1).T * noise.to(latents.device)
    if not torch.isfinite(latents).all():
        raise AudioError("the latents of the audio hold values that are not numbers; try dtype float32")
    return latents.contiguous()


def _window(sound: Sound, audio: Audio, tile: Tile) -> Tensor:
    """Cut `[1, channels, n]` for a tile; the last one has the samples beyond the last whole frame too."""
    is_last = tile.window_end == audio.shape[1] // sound.hop_length
    end = audio.shape[1] if is_last else tile.window_end * sound.hop_length
    return torch.from_numpy(audio[:, tile.window_start * sound.hop_length : end])[None]


def _encode_window(vae: Autoencoder, window: Tensor) -> tuple[Tensor, Tensor]:
    """Encode `[1, channels, n]` to the posterior's mean and standard deviation, each `[C, n // hop]`, float32."""
    posterior = vae.encode(window).latent_dist
    return posterior.mean[0].float(), posterior.std[0].float()
