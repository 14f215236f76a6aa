"""Tiled decoding against decoding in one piece, with both autoencoders."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from studio.engine.engine import Engine
from studio.engine.model_spec import Sound, VaeClass
from studio.engine.spectral import SpectralAutoencoder
from studio.engine.vae import Tile, chunk_frames, decode, tiles


def test_one_tile_when_everything_fits() -> None:
    assert tiles(256, 256) == [Tile(0, 0, 256, 256)]


@pytest.mark.parametrize(("chunk", "overlap"), [(256, 64), (512, 64), (128, 32), (32, 8)])
def test_cores_join_and_windows_overlap(chunk: int, overlap: int) -> None:
    cut = tiles(1000, chunk)
    assert [tile.start for tile in cut] == [0, *(tile.end for tile in cut[:-1])]
    assert (cut[0].window_start, cut[-1].end, cut[-1].window_end) == (0, 1000, 1000)
    assert all(tile.window_end - tile.window_start <= chunk for tile in cut)
    assert cut[1].start - cut[1].window_start == overlap


@torch.inference_mode()
def test_oobleck_in_tiles_equals_one_piece_away_from_the_edges(engine: Engine) -> None:
    parts, sound = engine._loaded, engine.spec.sound
    latents = torch.randn(301, sound.latent_channels, generator=torch.Generator().manual_seed(0))
    whole = decode(parts.vae, sound, latents, 301)
    # With margins wider than the network's reach the tiles are equal everywhere.
    np.testing.assert_allclose(decode(parts.vae, sound, latents, 256), whole, atol=1e-5)
    # With margins of 8 frames, less than the reach, only what lies near a seam (every 16 frames) may differ.
    difference = np.abs(decode(parts.vae, sound, latents, 32) - whole).max(axis=0)
    seams = np.arange(16, 301, 16)[:, None] * sound.hop_length
    near = (np.abs(np.arange(whole.shape[1]) - seams) < 4 * sound.hop_length).any(axis=0)
    assert difference[~near].max() < 1e-5 < difference[near].max()


@torch.inference_mode()
def test_the_spectral_autoencoder_in_tiles_equals_one_piece() -> None:
    vae = SpectralAutoencoder()
    sound = Sound(vae_class=VaeClass.SPECTRAL, sample_rate=24000, hop_length=960, channels=2, latent_channels=64)
    latents = torch.randn(180, 64, generator=torch.Generator().manual_seed(0))
    whole = decode(vae, sound, latents, 180)
    assert whole.shape == (2, 180 * 960)
    np.testing.assert_allclose(decode(vae, sound, latents, 128), whole, atol=1e-3 * np.abs(whole).max())


def test_the_tile_size_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chunk_frames(torch.device("cpu")) == 256
    assert chunk_frames(torch.device("mps")) == 32
    for free, frames in ((30.0, 512), (17.0, 384), (12.5, 256), (3.0, 128)):
        monkeypatch.setattr("studio.engine.vae.free_memory", lambda _device, free=free: free)
        assert chunk_frames(torch.device("cuda")) == frames
