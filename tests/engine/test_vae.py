"""Tiled decoding and encoding against one piece, with both autoencoders."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from studio.engine.audio.shape import Audio, level
from studio.engine.engine import Engine
from studio.engine.model_spec import Sound, VaeClass
from studio.engine.spectral import SpectralAutoencoder
from studio.engine.vae import Tile, decode, encode, encode_tiles, tiles, whole_frames
from studio.errors import AudioError, Cancelled

SPECTRAL = Sound(vae_class=VaeClass.SPECTRAL, sample_rate=24000, hop_length=960, channels=2, latent_channels=64)


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
    parts, sound = engine._loaded.parts, engine.spec.sound
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
    latents = torch.randn(180, 64, generator=torch.Generator().manual_seed(0))
    whole = decode(vae, SPECTRAL, latents, 180)
    assert whole.shape == (2, 180 * 960)
    np.testing.assert_allclose(decode(vae, SPECTRAL, latents, 128), whole, atol=1e-3 * np.abs(whole).max())


@torch.inference_mode()
def test_decoding_and_levelling_hold_few_copies(engine: Engine) -> None:
    parts, sound = engine._loaded.parts, engine.spec.sound
    latents = torch.randn(6000, sound.latent_channels, generator=torch.Generator().manual_seed(0))
    tracemalloc.start()
    audio = level(decode(parts.vae, sound, latents, 256))
    peak = tracemalloc.get_traced_memory()[1]  # what numpy holds; torch holds one tile
    tracemalloc.stop()
    assert peak < 3 * audio.nbytes


def _music(sound: Sound, frames: int, more: int = 0) -> Audio:
    draw = np.random.default_rng(0).uniform(-0.5, 0.5, (2, frames * sound.hop_length + more))
    return draw.astype(np.float32)


@torch.inference_mode()
def test_oobleck_encodes_in_tiles_as_in_one_piece_away_from_the_edges(engine: Engine) -> None:
    parts, sound = engine._loaded.parts, engine.spec.sound
    audio = _music(sound, 301)
    whole = encode(parts.vae, sound, audio, 301)
    assert (whole.shape, whole.dtype) == ((301, sound.latent_channels), torch.float32)
    # Two seconds, 50 frames, reach further than the network: the tiles are equal everywhere.
    torch.testing.assert_close(encode(parts.vae, sound, audio, 128), whole, atol=1e-5, rtol=0)
    # With margins of 6 frames, less than the reach, only what lies near a seam (every 12 frames) may differ.
    seams = np.array([tile.start for tile in encode_tiles(sound, audio.shape[1], 24)][1:])
    assert seams.tolist() == list(range(12, 301, 12))
    near = (np.abs(np.arange(301) + 0.5 - seams[:, None]) < 5).any(axis=0)
    difference = (encode(parts.vae, sound, audio, 24) - whole).abs().amax(1).cpu().numpy()
    assert difference[~near].max() < 1e-5 < difference[near].max()


@torch.inference_mode()
def test_the_spectral_autoencoder_encodes_in_tiles_as_in_one_piece() -> None:
    vae, audio = SpectralAutoencoder(), _music(SPECTRAL, 200, more=100)
    audio[:, 60 * 960 :] *= np.linspace(1, 0, audio.shape[1] - 60 * 960, dtype=np.float32)
    whole = encode(vae, SPECTRAL, audio, 200)
    assert whole.shape == (200, 64)
    direct = vae.encode(torch.from_numpy(audio)[None]).latent_dist.mode()[0].T
    torch.testing.assert_close(whole, direct, atol=0, rtol=0)
    torch.testing.assert_close(encode(vae, SPECTRAL, audio, 128), whole, atol=1e-3, rtol=0)


@torch.inference_mode()
def test_a_seed_gives_the_same_latents_whatever_the_tiles(engine: Engine) -> None:
    parts, sound = engine._loaded.parts, engine.spec.sound
    audio = _music(sound, 150)

    def sampled(chunk: int, seed: int) -> torch.Tensor:
        return encode(parts.vae, sound, audio, chunk, torch.Generator().manual_seed(seed))

    torch.testing.assert_close(sampled(150, 1), sampled(128, 1), atol=1e-5, rtol=0)
    assert not torch.equal(sampled(150, 1), sampled(150, 2))
    posterior = parts.vae.encode(torch.from_numpy(audio)[None]).latent_dist
    mean = encode(parts.vae, sound, audio, 150)
    torch.testing.assert_close(mean, posterior.mean[0].T)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(sampled(150, 1), mean + posterior.std[0].T * noise, atol=1e-6, rtol=0)


@torch.inference_mode()
def test_the_deterministic_autoencoder_ignores_the_seed() -> None:
    vae, audio = SpectralAutoencoder(), _music(SPECTRAL, 10)
    seeded = encode(vae, SPECTRAL, audio, 10, torch.Generator().manual_seed(1))
    assert torch.equal(seeded, encode(vae, SPECTRAL, audio, 10))


@torch.inference_mode()
@pytest.mark.parametrize(("frames", "more"), [(1, 0), (1, 95), (7, 0), (7, 1), (7, 95), (40, 50)])
def test_only_whole_frames_are_encoded(engine: Engine, frames: int, more: int) -> None:
    parts, sound = engine._loaded.parts, engine.spec.sound
    audio = _music(sound, frames, more)
    for chunk in (4, 100):
        assert encode(parts.vae, sound, audio, chunk).shape == (frames, sound.latent_channels)
    spectral = _music(SPECTRAL, frames, more)
    assert encode(SpectralAutoencoder(), SPECTRAL, spectral, 100).shape == (frames, 64)


@torch.inference_mode()
def test_what_is_left_after_the_last_whole_frame_is_heard_in_it(engine: Engine) -> None:
    parts, sound = engine._loaded.parts, engine.spec.sound
    audio = _music(sound, 150, more=95)
    direct = parts.vae.encode(torch.from_numpy(audio)[None]).latent_dist.mean[0].T
    for chunk in (128, 150):
        torch.testing.assert_close(encode(parts.vae, sound, audio, chunk), direct, atol=1e-5, rtol=0)
    whole = np.ascontiguousarray(audio[:, : 150 * sound.hop_length])
    assert (encode(parts.vae, sound, whole, 150) - direct)[-1].abs().max() > 1e-4


def test_less_than_a_frame_and_broken_numbers_are_refused(engine: Engine) -> None:
    parts, sound = engine._loaded.parts, engine.spec.sound
    with pytest.raises(AudioError, match="95 samples, less than one latent frame of 96"):
        encode(parts.vae, sound, np.zeros((2, 95), np.float32), 100)
    endless = np.full((2, 960), np.inf, np.float32)
    with torch.inference_mode(), pytest.raises(AudioError, match="not numbers; try dtype float32"):
        encode(parts.vae, sound, endless, 100)


@torch.inference_mode()
def test_encoding_says_which_tile_comes_next_and_can_be_stopped(engine: Engine) -> None:
    parts, sound = engine._loaded.parts, engine.spec.sound
    audio, heard = _music(sound, 100), []

    def before_tile(number: int) -> None:
        heard.append(number)
        if number == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        encode(parts.vae, sound, audio, 16, before_tile=before_tile)
    assert heard == [0, 1, 2]
    assert len(encode_tiles(sound, audio.shape[1], 16)) == 25


def test_seconds_come_to_whole_frames() -> None:
    assert [whole_frames(SPECTRAL, seconds) for seconds in (15.0, 30.0, 0.001)] == [375, 750, 1]
