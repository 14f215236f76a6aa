"""Several regions of a source repainted at once: what is refused, what is kept between them, and what is new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from studio.engine.audio.io import read_audio, write_audio
from studio.engine.audio.likeness import Verdict
from studio.engine.audio.outside import outside
from studio.engine.audio.span import Seconds, span_of
from studio.engine.audio.splice import matched_level, splice
from studio.engine.denoise import blend_outside
from studio.engine.edits import Repaint, RepaintMode
from studio.engine.engine import Engine
from studio.engine.model_spec import Sound, VaeClass
from studio.engine.requests import AudioFormat
from studio.engine.sampling import Sampling
from studio.engine.snapshot import request_from, settings_of
from studio.engine.tasks import Repainted
from studio.errors import InvalidRequest
from studio.jobs.repainted import proof

SOUND = Sound(vae_class=VaeClass.SPECTRAL, sample_rate=1000, hop_length=40, channels=2, latent_channels=8)
TEN = 10_000  # samples of SOUND
RATE = 2400  # Hz, of the tiny checkpoints
RAMP = 120  # samples; no crossfade of a tiny checkpoint is longer


def ask(source: Path, *regions: Seconds, **more: object) -> Repaint:
    (start, end), *others = regions
    sampling = Sampling(steps=2)
    return Repaint(  # type: ignore[arg-type]
        caption="new", source=source, start=start, end=end, more=tuple(others), seeds=(1,), sampling=sampling, **more
    )


def noise(samples: int, seed: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        (((3, 5), (4, 6)), r"repainting_more must begin after 5, where the region before ends, got 4"),
        (((3, 5), (5, 6)), r"repainting_more must begin after 5, .* got 5"),
        (((8, 9), (3, 5)), r"repainting_more must begin after 9, .* got 3"),
        (((3, 5), (7, 7)), r"repainting_more must end after its start 7, got 7"),
        (((3, None), (7, 8)), r"repainting_more must not follow a region that lasts to the end"),
        (((3, 5), ("a", 8)), r"repainting_more must hold pairs of seconds"),
        (((3, 5), (6, float("nan"))), r"repainting_more must hold pairs of seconds"),
    ],
)
def test_regions_stand_in_order_and_apart(regions: tuple[Seconds, ...], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        ask(Path("a.wav"), *regions)


def test_only_the_first_may_begin_before_the_source_and_the_last_end_behind_it() -> None:
    span = span_of(TEN, [(-2, 1), (4, 5.5), (9, 12)], SOUND)
    assert (span.front, span.samples) == (2000, 14_000)
    assert span.stretches == [(0, 3000), (6000, 7500), (11_000, 14_000)]
    mask = span.mask()
    assert mask[:75].all() and not mask[75:150].any() and mask[150:187].all()
    assert not mask[187:275].any() and mask[275:].all()
    with pytest.raises(InvalidRequest, match=r"repainting_end must end within the source of 10\.0 s; only the last"):
        span_of(TEN, [(3, 11), (12, 13)], SOUND)
    with pytest.raises(InvalidRequest, match="repainting_more must leave every region at least a sample"):
        span_of(TEN, [(3, 5), (10.5, None)], SOUND)


@pytest.mark.parametrize("gap", [1, 2, 30, 31, 500])
def test_between_two_regions_each_fades_at_most_to_the_middle(gap: int) -> None:
    source, generated = noise(TEN), noise(TEN, 2)
    joined = splice(source, generated, [(1000, 2000), (2000 + gap, 4000)], 50)
    assert np.array_equal(joined[:, 1000:2000], generated[:, 1000:2000])
    assert np.array_equal(joined[:, 2000 + gap : 4000], generated[:, 2000 + gap : 4000])
    kept = slice(2050, 2000 + gap - 50)
    assert np.array_equal(joined[:, kept], source[:, kept])
    assert np.array_equal(joined[:, :950], source[:, :950])
    assert np.array_equal(joined[:, 4050:], source[:, 4050:])
    flat = splice(np.zeros((1, 20), np.float32), np.ones((1, 20), np.float32), [(4, 7), (11, 13)], 3)
    np.testing.assert_allclose(flat[0, 6:12], [1, 2 / 3, 1 / 3, 1 / 3, 2 / 3, 1], atol=1e-6)


def test_the_level_is_taken_from_every_side_and_from_no_region() -> None:
    music = noise(TEN)
    softer = music * np.float32(0.8)
    for region in (slice(2000, 3000), slice(5000, 6000)):
        softer[:, region] *= np.float32(0.1)
    matched = matched_level(music, softer, [(2000, 3000), (5000, 6000)], 1000)
    np.testing.assert_allclose(matched, softer / np.float32(0.8), rtol=1e-5)


def test_outside_is_measured_over_all_that_lies_between() -> None:
    source, span = noise(TEN), span_of(TEN, [(-1, 2), (4, 5), (9, 11)], SOUND)
    result = np.concatenate([noise(1000, 2), source, noise(1000, 3)], axis=1)
    for start, end in span.stretches:
        result[:, max(0, start - 50) : end + 50] = 0
    found = outside(source, result, span, 50)
    assert found is not None and found.verdict is Verdict.IDENTICAL
    result[0, 1000 + 3000] += 0.1  # between the first and the second
    found = outside(source, result, span, 50)
    assert found is not None and found.verdict is Verdict.NEAR
    over = span_of(TEN, [(0, 4.98), (5, None)], SOUND)
    assert outside(source, noise(TEN, 2), over, 50) is None


def test_latents_fade_at_the_edges_of_every_region() -> None:
    inside = torch.zeros(1, 20, dtype=torch.bool)
    inside[0, 3:6] = inside[0, 8:10] = inside[0, 17:] = True
    share = blend_outside(torch.ones(1, 20, 1), Repainted(clean=torch.zeros(1, 20, 1), inside=inside), 2)[0, :, 0]
    third = [1 / 3, 2 / 3]
    np.testing.assert_allclose(
        share, [0, *third, 1, 1, 1, 2 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3, 0, 0, 0, *third, 1, 1, 1], atol=1e-6
    )


@pytest.mark.parametrize("kind", [AudioFormat.WAV, AudioFormat.FLAC])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_in_every_lossless_file_only_the_regions_differ(
    engine: Engine, tmp_path: Path, kind: AudioFormat, subtype: str
) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, noise(round(12.3 * RATE)).T, RATE, subtype=subtype)
    request = ask(song, (2.0, 4.0), (5.5, 7.0), (10.0, None))
    take = engine.generate(request)[0]
    file = tmp_path / f"take.{kind}"
    write_audio(file, take.audio, take.sample_rate, kind)
    heard, source = read_audio(file)[0], read_audio(song)[0]
    assert heard.shape == source.shape
    # 16 bits can't hold a source of 24; then the kept samples are the nearest that the file can hold.
    coarse = kind is AudioFormat.WAV and subtype == "PCM_24"
    differs = np.abs(heard - source).max(axis=0) > (2**-15 if coarse else 0)
    inside = np.zeros(source.shape[1], bool)
    for start, end in ((2.0, 4.0), (5.5, 7.0), (10.0, 12.3)):
        stretch = slice(round(start * RATE), round(end * RATE))
        assert differs[stretch].mean() > 0.99
        inside[max(0, stretch.start - RAMP) : stretch.stop + RAMP] = True
    assert not differs[~inside].any()
    told = proof(request, engine.spec)(take, file).effective["outside"]
    assert isinstance(told, dict)
    assert told["verdict"] == ("near" if coarse else "identical")


@pytest.mark.parametrize("mode", list(RepaintMode))
def test_every_mode_and_both_ends(engine: Engine, tmp_path: Path, mode: RepaintMode) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, noise(round(12.3 * RATE)).T, RATE, subtype="FLOAT")
    take = engine.generate(ask(song, (-2.0, 1.0), (5.0, 6.0), (11.0, 14.0), mode=mode))[0]
    assert take.duration == pytest.approx(16.0)
    source, kept = read_audio(song)[0], take.audio[:, 2 * RATE :]
    for start, end in ((1.0, 5.0), (6.0, 11.0)):
        stretch = slice(round(start * RATE) + RAMP, round(end * RATE) - RAMP)
        assert np.array_equal(kept[:, stretch], source[:, stretch])
    assert not np.allclose(kept[:, 5 * RATE : 6 * RATE], source[:, 5 * RATE : 6 * RATE], atol=1e-2)


def test_one_region_is_written_as_ever_and_several_come_back() -> None:
    one = settings_of(ask(Path("a.wav"), (3, 5.5)))
    assert not [name for name in one if "more" in name]
    assert request_from(one) == ask(Path("a.wav"), (3, 5.5))
    several = ask(Path("a.wav"), (3, 5.5), (8, 9.25), (12, None))
    assert settings_of(several)["repainting_more"] == [[8, 9.25], [12, -1.0]]
    assert request_from(settings_of(several)) == several
    with pytest.raises(InvalidRequest, match="repainting_more must hold pairs of seconds"):
        request_from({**settings_of(several), "repainting_more": [[8]]})
