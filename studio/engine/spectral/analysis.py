"""From sound to latents: how loud, how bright, how noisy and how wide, frame by frame."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from studio.engine.spectral.layout import BRIGHT_EDGES, FLOOR, NOISE_EDGES, SHORT, SLOTS, hertz_of

WINDOWS = ((33, 51, 8192), (51, 65, 4096), (65, 81, 2048))  # first and last semitone, window in samples
HOLD = 10  # slots: what stays this long before or after a moment is sustained, not percussive


def analyse(mid: Tensor, side: Tensor, rate: int, hop: int) -> list[Tensor]:
    """Raw latents of mid and side signals `[B, S]`, as parts to be joined over channels."""
    short = _powers(mid, SHORT, hop // SLOTS)  # [B, bins, slots]
    bands = _band_energy(short, NOISE_EDGES, rate)
    bright = _band_energy(short, BRIGHT_EDGES, rate)
    held, bright_held = _sustained(bands), _sustained(bright)
    hits = (bands - held).clamp_min(0)
    hits = torch.cat([hits[:, :6], bands[:, 6:]], dim=1)  # above 7 kHz everything is played as noise
    tones = _semitones(mid, short, rate, hop)
    position, peak = _hit_shape(hits)
    side_short = _powers(side, SHORT, hop // SLOTS)
    side_held = _sustained(_band_energy(side_short, (0.0, 6400.0), rate))
    side_hits = _band_energy(side_short, NOISE_EDGES, rate)[:, 6:].sum(1, keepdim=True)
    tone_width = _log(_by_frame(side_held)) - _log(_by_frame(held[:, :6].sum(1, keepdim=True)))
    noise_width = _log(_by_frame(side_hits)) - _log(_by_frame(bands[:, 6:].sum(1, keepdim=True)))
    widths = torch.cat([tone_width, noise_width], dim=1).clamp(-4, 1)
    return [_log(tones), _log(_by_frame(bright_held)), _log(_by_frame(hits)), position, peak, widths]


def _log(energy: Tensor) -> Tensor:
    return torch.log10(energy + FLOOR)


def _by_frame(slots: Tensor) -> Tensor:
    """Mean over the slots of each frame: `[B, C, T * SLOTS]` to `[B, C, T]`."""
    return slots.reshape(*slots.shape[:-1], -1, SLOTS).mean(-1)


def _powers(signal: Tensor, size: int, hop: int) -> Tensor:
    """Power spectra `[B, bins, S // hop]`, each window centred in its hop; a sine of amplitude a peaks at a²."""
    left = (size - hop) // 2
    padded = F.pad(signal, (left, size - hop - left))
    window = torch.hann_window(size, device=signal.device)
    spectrum = torch.stft(padded, size, hop, window=window, center=False, return_complex=True)
    return (spectrum.abs() * (2 / window.sum())).square()


def _band_energy(powers: Tensor, edges: tuple[float, ...], rate: int) -> Tensor:
    """Mean square of the signal inside each band, `[B, bands, slots]`."""
    bins = torch.linspace(0, rate / 2, powers.shape[1], device=powers.device)
    inside = torch.stack([(bins >= low) & (bins < high) for low, high in pairwise(edges)])
    # A Hann window spreads a sine over 1.5 bins, and its mean square is half its squared amplitude.
    return torch.einsum("kb,nbt->nkt", inside.float() / 3.0, powers)


def _sustained(energy: Tensor) -> Tensor:
    """The part of `energy` `[B, C, slots]` that lasts: the larger of what held before and what holds after."""
    before = -F.max_pool1d(F.pad(-energy, (HOLD, 0), value=0.0), HOLD + 1, stride=1)
    after = -F.max_pool1d(F.pad(-energy, (0, HOLD), value=0.0), HOLD + 1, stride=1)
    return torch.maximum(before, after).clamp_min(0)


def _semitones(mid: Tensor, short: Tensor, rate: int, hop: int) -> Tensor:
    """Squared amplitude of each semitone, `[B, 48, T]`, sharpened in pitch and in time."""
    rows = []
    for first, last, size in WINDOWS:
        filters = _semitone_filters(first, last, size, rate).to(mid.device)
        powers = _powers(mid, size, hop)
        energy = torch.einsum("kb,nbt->nkt", filters, powers)
        rows.append(energy * _attack_gain(powers, short, first, last, rate))
    return _sharpen(torch.cat(rows, dim=1))


def _attack_gain(powers: Tensor, short: Tensor, first: int, last: int, rate: int) -> Tensor:
    """How much louder or softer a frame is than its long window says, `[B, 1, T]`: undoes the smear of the window."""
    edges = (hertz_of(first - 2), hertz_of(last + 10))
    quick = _by_frame(_band_energy(short, edges, rate))
    slow = _band_energy(powers, edges, rate)
    return ((quick + FLOOR) / (slow + FLOOR)).clamp(0.03, 4.0)


def _sharpen(energy: Tensor) -> Tensor:
    """Keep local maxima over semitones: a tone leaks into its neighbours and a hit raises all of them alike."""
    padded = F.pad(energy, (0, 0, 1, 1))
    neighbour = torch.maximum(padded[:, :-2], padded[:, 2:])
    peak = 1 / (1 + ((neighbour + FLOOR) / (energy + FLOOR)) ** 3)
    around = F.pad(energy.transpose(1, 2), (4, 4), mode="replicate").unfold(-1, 9, 1).median(-1).values.transpose(1, 2)
    return energy * peak * (energy / (energy + 2 * around + FLOOR))


def _hit_shape(hits: Tensor) -> tuple[Tensor, Tensor]:
    """Where in the frame the noise sits (-1..1) and how peaked it is (0..1), each `[B, 1, T]`."""
    total = hits.sum(1, keepdim=True)
    total = total.reshape(*total.shape[:-1], -1, SLOTS) + FLOOR
    place = torch.linspace(-1, 1, SLOTS, device=hits.device)
    share = total / total.sum(-1, keepdim=True)
    return (share * place).sum(-1), (share.max(-1).values * SLOTS - 1) / (SLOTS - 1)


@lru_cache(maxsize=16)
def _semitone_filters(first: int, last: int, size: int, rate: int) -> Tensor:
    """Weights `[semitones, bins]`; a sine in the middle of a semitone gives its squared amplitude."""
    bins = torch.linspace(0, rate / 2, size // 2 + 1)
    pitch = 12 * torch.log2(bins.clamp_min(1) / 440) + 69
    weights = torch.exp(-0.5 * ((pitch[None] - torch.arange(first, last)[:, None]) / 0.3) ** 2)
    seconds = torch.arange(size) / rate
    responses = []
    for note in range(first, last):
        sine = torch.cos(2 * math.pi * hertz_of(note) * seconds)
        responses.append(_powers(sine[None], size, size)[0, :, 0])
    return weights / (weights * torch.stack(responses)).sum(1, keepdim=True)
