"""The spectral autoencoder: tones come back in tune and as loud, noise as noise, tiles as one piece."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from studio.engine.spectral import SpectralAutoencoder
from studio.engine.spectral.layout import LATENTS, LOWEST, hertz_of

RATE, HOP = 24000, 960


@pytest.fixture(scope="module")
def vae() -> SpectralAutoencoder:
    return SpectralAutoencoder()


def _there_and_back(vae: SpectralAutoencoder, audio: Tensor) -> Tensor:
    return vae.decode(vae.encode(audio).latent_dist.mode()).sample


def _tone(hertz: float, seconds: float = 3.0) -> Tensor:
    wave = 0.3 * torch.sin(2 * math.pi * hertz * torch.arange(int(seconds * RATE)) / RATE)
    return torch.stack([wave, wave])[None]


@pytest.mark.parametrize("note", [36, 45, 57, 69, 79])
def test_a_tone_comes_back_at_its_pitch_and_level(vae: SpectralAutoencoder, note: int) -> None:
    audio = _tone(hertz_of(note))
    back = _there_and_back(vae, audio)[0, 0, RATE : 2 * RATE]
    spectrum = np.abs(np.fft.rfft(back.numpy() * np.hanning(RATE)))
    assert int(spectrum.argmax()) == pytest.approx(hertz_of(note), abs=1.0)
    # The lowest semitones are closer together than their window can tell apart and lose up to 3 dB to their neighbours.
    assert float(back.std()) == pytest.approx(float(audio[0, 0].std()), rel=0.35 if note < 45 else 0.15)


def test_the_right_semitone_is_by_far_the_loudest(vae: SpectralAutoencoder) -> None:
    latents = vae.encode(_tone(440.0)).latent_dist.mode()[0, :48, 30]
    order = latents.argsort(descending=True)
    assert int(order[0]) + LOWEST == 69
    assert float(latents[order[0]] - latents[order[1]]) > 3  # log10 of energy


def test_noise_keeps_its_loudness(vae: SpectralAutoencoder) -> None:
    audio = 0.1 * torch.randn(1, 1, 3 * RATE, generator=torch.Generator().manual_seed(0)).expand(1, 2, -1)
    assert float(_there_and_back(vae, audio).std()) == pytest.approx(0.1, rel=0.15)


def test_a_click_stays_short(vae: SpectralAutoencoder) -> None:
    audio = torch.zeros(1, 2, 2 * RATE)
    audio[..., RATE : RATE + 200] = 0.8 * torch.randn(1, 1, 200, generator=torch.Generator().manual_seed(1))
    back = _there_and_back(vae, audio)[0].abs().amax(0)
    assert float(back[RATE - 1000 : RATE + 2000].max()) > 0.1
    assert float(back[: RATE - 2500].max()) < 0.01
    assert float(back[RATE + 5000 :].max()) < 0.01


def test_a_wide_chord_stays_wide_and_a_mono_one_stays_mono(vae: SpectralAutoencoder) -> None:
    mono = _tone(220.0)
    back = _there_and_back(vae, mono)[..., RATE : 2 * RATE]
    assert float((back[:, 0] - back[:, 1]).std()) < 0.005
    wide = _tone(220.0)
    wide[:, 1] = _tone(330.0)[:, 0]
    back = _there_and_back(vae, wide)
    assert float((back[:, 0] - back[:, 1]).std()) > 0.05


def test_silence_stays_silent(vae: SpectralAutoencoder) -> None:
    assert float(_there_and_back(vae, torch.zeros(1, 2, RATE)).abs().max()) < 1e-3


def test_a_piece_decoded_from_its_middle_continues_the_phases(vae: SpectralAutoencoder) -> None:
    latents = torch.randn(1, LATENTS, 200, generator=torch.Generator().manual_seed(2)) * 0.3 - 2
    whole = vae.decode(latents).sample
    part = vae.decode(latents[..., 70:160], start_frame=70).sample
    torch.testing.assert_close(whole[..., 90 * HOP : 140 * HOP], part[..., 20 * HOP : 70 * HOP], atol=1e-3, rtol=0)


def test_the_spread_of_the_latents_is_undone(vae: SpectralAutoencoder) -> None:
    other = SpectralAutoencoder()
    other.latent_mean, other.latent_std = torch.full((LATENTS,), -3.0), torch.full((LATENTS,), 1.7)
    audio = _tone(330.0, 1.0)
    torch.testing.assert_close(_there_and_back(vae, audio), _there_and_back(other, audio), atol=1e-4, rtol=0)
    standard = vae.encode(audio).latent_dist.mode()
    torch.testing.assert_close(other.encode(audio).latent_dist.mode(), (standard + 3.0) / 1.7)
