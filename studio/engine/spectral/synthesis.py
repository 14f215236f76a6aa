"""From latents to sound: oscillators for tones, shaped noise for the rest."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from studio.engine.spectral.layout import (
    BRIGHT,
    BRIGHT_EDGES,
    FLOOR,
    LOWEST,
    NOISE,
    NOISE_EDGES,
    PEAK,
    POSITION,
    SEMITONES,
    SHORT,
    SLOTS,
    hertz_of,
)

KICK_HZ = 50.0
HARMONICS = 16
_NOISE_PERIOD = 1 << 18  # samples


def width_of(log_ratio: Tensor) -> Tensor:
    """Side over mid amplitude from the log ratio of their energies, `[B, T]`; below -35 dB counts as mono."""
    return torch.where(log_ratio < -3.5, torch.zeros_like(log_ratio), 10 ** (log_ratio.clamp(-4, 0.3) / 2))


def _energy(log_energy: Tensor) -> Tensor:
    return (10**log_energy - FLOOR).clamp_min(0)


def play_tones(raw: Tensor, width: Tensor, start: int, rate: int, hop: int) -> tuple[Tensor, Tensor]:
    """Oscillators for semitones and their harmonics; mid and side `[B, T * hop]`."""
    notes, orders, bands = (part.to(raw.device) for part in _partials(rate))
    tones = _energy(raw[:, :SEMITONES]).sqrt()  # [B, 48, T] amplitudes
    partials = tones[:, notes] / orders[None, :, None]
    gains = torch.ones_like(partials)
    for band in range(len(BRIGHT_EDGES) - 1):
        chosen = bands == band
        have = partials[:, chosen].square().sum(1, keepdim=True) / 2
        want = _energy(raw[:, BRIGHT][:, band : band + 1])
        gains[:, chosen] = (want / (have + FLOOR)).sqrt().clamp_max(8.0)
    partials = partials * gains
    sign = torch.where((notes * 7) % 12 < 6, 1.0, -1.0)[None, :, None]
    both = torch.cat([partials, partials * sign * width[:, None]])
    cycles = torch.tensor(
        [hertz_of(LOWEST + n) * o / rate for n, o in zip(notes.tolist(), orders.tolist(), strict=True)]
    )
    mid, side = _oscillate(both, cycles.double().to(raw.device), start, hop).chunk(2)
    return mid, side


@lru_cache(maxsize=4)
def _partials(rate: int) -> tuple[Tensor, Tensor, Tensor]:
    """Semitone, harmonic order and brightness band (-1 for fundamentals) of every oscillator."""
    rows = [(note, 1, -1) for note in range(SEMITONES)]
    for note in range(SEMITONES):
        for order in range(2, HARMONICS + 1):
            hertz = hertz_of(LOWEST + note) * order
            for band, (low, high) in enumerate(pairwise(BRIGHT_EDGES)):
                if low <= hertz < min(high, rate / 2):
                    rows.append((note, order, band))
    notes, orders, bands = (torch.tensor(column) for column in zip(*rows, strict=True))
    return notes, orders, bands


def _oscillate(amplitudes: Tensor, cycles: Tensor, start: int, hop: int) -> Tensor:
    """Sum of sines `[B, T * hop]` from frame amplitudes `[B, P, T]`; `cycles` is cycles a sample, `[P]`.

    Frame values hold at frame centres. Between two centres a partial falls along a line but rises within a few
    milliseconds, so that plucked notes keep their attack.
    """
    half = hop // 2
    frames = amplitudes.shape[-1] + 1
    padded = F.pad(amplitudes, (1, 1), mode="replicate")
    before, after = padded[..., :-1], padded[..., 1:]  # T + 1 stretches from centre to centre
    first = (torch.arange(frames, device=amplitudes.device) + start).double() * hop - half
    fixed = torch.arange(len(cycles), device=amplitudes.device).double() * 0.6180339887  # spreads the crests
    turn = 2 * math.pi * ((first[None] * cycles[:, None] + fixed[:, None]) % 1.0)
    inside = 2 * math.pi * ((torch.arange(hop, device=amplitudes.device).double()[None] * cycles[:, None]) % 1.0)
    basis = torch.cat([inside.cos(), -inside.sin()]).float()  # [2P, hop]
    rotation = torch.cat([turn.cos(), turn.sin()]).float()  # [2P, T + 1]
    ramp = torch.linspace(0, 1, hop, device=amplitudes.device)
    rise = ((ramp - 0.3) / 0.4).clamp(0, 1)
    steps = after - before
    parts = (
        (before, torch.ones_like(ramp)),
        (steps.clamp_max(0), ramp),
        (steps.clamp_min(0), rise * rise * (3 - 2 * rise)),
    )
    sound = torch.zeros(amplitudes.shape[0], frames, hop, device=amplitudes.device)
    for weights, shape in parts:
        turned = (weights.repeat(1, 2, 1) * rotation).transpose(1, 2)  # [B, T + 1, 2P]
        sound += (turned @ basis) * shape
    return sound.flatten(1)[:, half : half + amplitudes.shape[-1] * hop]


def play_noise(raw: Tensor, width: Tensor, start: int, rate: int, hop: int) -> tuple[Tensor, Tensor]:
    """Shaped noise and the body of the kick; mid and side `[B, T * hop]`."""
    slot = hop // SLOTS
    energy = _spread(_energy(raw[:, NOISE]), raw[:, POSITION], raw[:, PEAK])  # [B, 9, T * SLOTS]
    length = raw.shape[-1] * hop
    first = start * hop
    kick = (2 * energy[:, :1]).sqrt()
    kick = F.interpolate(kick, size=length, mode="linear")[:, 0]
    moments = (torch.arange(length, device=raw.device) + first).double() * (KICK_HZ / rate)
    mid = kick * torch.sin(2 * math.pi * (moments % 1.0)).float()
    gains = _band_gains(energy[:, 1:], rate)
    wide = width.clamp_max(1.0).repeat_interleave(SLOTS, dim=1)[:, None]
    where = (torch.arange(length, device=raw.device) + first) % _NOISE_PERIOD
    source = _noise().to(raw.device)[:, where]
    mid = mid + _filter(source[0], gains, slot)
    return mid, _filter(source[1], gains * wide, slot)


def _spread(energy: Tensor, position: Tensor, peak: Tensor) -> Tensor:
    """Share frame energies `[B, C, T]` over the slots of each frame, `[B, C, T * SLOTS]`."""
    place = torch.linspace(-1, 1, SLOTS, device=energy.device)
    sharp = 6 * peak.clamp(0, 1)[..., None] ** 2
    shape = torch.exp(-sharp * (place - position.clamp(-1, 1)[..., None]) ** 2 * 2)
    shape = shape / shape.mean(-1, keepdim=True)
    return (energy[..., None] * shape[:, None]).flatten(-2)


def _band_gains(energy: Tensor, rate: int) -> Tensor:
    """Amplitude of each bin of unit noise, `[B, SHORT // 2 + 1, slots]`, for the bands above the kick."""
    bins = torch.linspace(0, rate / 2, SHORT // 2 + 1, device=energy.device)
    gains = torch.zeros(energy.shape[0], len(bins), energy.shape[-1], device=energy.device)
    for band, (low, high) in enumerate(pairwise(NOISE_EDGES[1:])):
        inside = (bins >= low) & (bins < high)
        share = inside.float().mean().clamp_min(1e-6)
        gains[:, inside] = (energy[:, band] / share).sqrt()[:, None]
    return gains


@lru_cache(maxsize=1)
def _noise() -> Tensor:
    """Two fixed stretches of unit white noise, `[2, period]`, repeated every eleven seconds."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, _NOISE_PERIOD, generator=generator)


def _filter(noise: Tensor, gains: Tensor, slot: int) -> Tensor:
    """Noise `[S]` with the spectrum of each slot scaled by `gains` `[B, bins, S // slot]`; gives `[B, S]`."""
    size = SHORT
    left = (size - slot) // 2
    window = torch.hann_window(size, device=noise.device)
    padded = F.pad(noise[None], (left, size - slot - left))
    spectrum = torch.stft(padded, size, slot, window=window, center=False, return_complex=True)
    pieces = torch.fft.irfft(spectrum * gains, n=size, dim=1) * window[None, :, None]  # [B, size, slots]
    length = padded.shape[-1]
    joined = F.fold(pieces, (1, length), (1, size), stride=(1, slot))[:, 0, 0]
    norm = F.fold((window**2)[None, :, None].expand(1, -1, gains.shape[-1]), (1, length), (1, size), stride=(1, slot))
    sound = joined / norm[0, 0].clamp_min(1e-3)
    return sound[:, left : left + noise.shape[-1]]
