"""The spectral autoencoder behind the interface of diffusers' autoencoders."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from studio.engine.spectral.analysis import analyse
from studio.engine.spectral.layout import LATENTS, NOISE_WIDTH, TONE_WIDTH
from studio.engine.spectral.synthesis import play_noise, play_tones, width_of


@dataclass(frozen=True, slots=True)
class Posterior:
    """A distribution without spread: the analysis is deterministic."""

    mean: Tensor  # [B, 64, T]

    @property
    def std(self) -> Tensor:
        """Return zeros, `[B, 64, T]`."""
        return torch.zeros_like(self.mean)

    def mode(self) -> Tensor:
        """Return the latents, `[B, 64, T]`."""
        return self.mean

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Return the latents, `[B, 64, T]`; the generator is not needed."""
        return self.mean


@dataclass(frozen=True, slots=True)
class Encoded:
    """What `encode` returns, named as in diffusers' autoencoders."""

    latent_dist: Posterior


@dataclass(frozen=True, slots=True)
class Decoded:
    """What `decode` returns, named as in diffusers' autoencoders."""

    sample: Tensor  # [B, 2, samples]


class SpectralAutoencoder(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers declares config_name twice
    """Semitone, brightness and noise energies at 25 Hz and back to stereo sound."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, sampling_rate: int = 24000, hop_length: int = 960, latent_channels: int = LATENTS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if latent_channels != LATENTS:
            raise ValueError(f"latent_channels must be {LATENTS}, got {latent_channels}")
        self.rate, self.hop = sampling_rate, hop_length
        self.register_buffer("latent_mean", torch.zeros(LATENTS))
        self.register_buffer("latent_std", torch.ones(LATENTS))
        self.latent_mean: Tensor
        self.latent_std: Tensor

    def encode(self, audio: Tensor) -> Encoded:
        """Measure stereo `audio` `[B, 2, S]`; gives `[B, 64, S // hop_length]` standardised latents."""
        whole = audio.shape[-1] // self.hop * self.hop
        audio = audio.float()[..., :whole]
        raw = torch.cat(analyse(audio.mean(1), (audio[:, 0] - audio[:, 1]) / 2, self.rate, self.hop), dim=1)
        mean, std = self.latent_mean.float(), self.latent_std.float()
        latents = (raw - mean[None, :, None]) / std[None, :, None]
        return Encoded(Posterior(latents.to(self.latent_mean.dtype)))

    def decode(self, latents: Tensor, start_frame: int = 0) -> Decoded:
        """Play `latents` `[B, 64, T]`; gives `[B, 2, T * hop_length]`.

        `start_frame` is the place of the first frame in the whole piece: oscillator phases depend on it.
        """
        mean, std = self.latent_mean.float(), self.latent_std.float()
        raw = latents.float() * std[None, :, None] + mean[None, :, None]
        tone_width = width_of(raw[:, TONE_WIDTH])
        noise_width = width_of(raw[:, NOISE_WIDTH])
        mid, side = play_tones(raw, tone_width, start_frame, self.rate, self.hop)
        noise_mid, noise_side = play_noise(raw, noise_width, start_frame, self.rate, self.hop)
        mid, side = mid + noise_mid, side + noise_side
        return Decoded(torch.stack([mid + side, mid - side], dim=1).to(latents.dtype))
