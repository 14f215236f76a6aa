"""Ranges on a source, and a range put back into it."""

from __future__ import annotations

import numpy as np
import pytest

from studio.engine.audio.shape import Audio, fade, level, peak, within_full_scale
from studio.engine.audio.span import no_range, span_of
from studio.engine.audio.splice import matched_level, splice
from studio.engine.model_spec import Sound, VaeClass
from studio.errors import InvalidRequest

SOUND = Sound(vae_class=VaeClass.OOBLECK, sample_rate=48000, hop_length=1920, channels=2, latent_channels=64)
TEN = 480000  # samples


@pytest.mark.parametrize(
    ("start", "end", "seconds", "frames", "first", "last", "mask"),
    [  # the table of engine.md 5.4
        (2, 5, 10, 250, 50, 125, 75),
        (-3, 4, 13, 325, 0, 175, 175),
        (6, 14, 14, 350, 150, 350, 200),
        (5, 5, 10, 250, 0, 0, 250),
        (2, -1, 10, 250, 50, 250, 200),
        (2, None, 10, 250, 50, 250, 200),
        (0, -1, 10, 250, 0, 250, 250),
        (-2, 12, 14, 350, 0, 350, 350),
        (-2, -1, 12, 300, 0, 300, 300),
        (5, 5.01, 10, 250, 125, 126, 1),
        (12, 14, 14, 350, 300, 350, 50),
        (12, None, 10, 250, 0, 0, 250),
    ],
)
def test_a_range_in_frames(
    start: float, end: float | None, seconds: float, frames: int, first: int, last: int, mask: int
) -> None:
    span = span_of(TEN, [(start, end)], SOUND)
    assert (span.samples, span.frames) == (seconds * 48000, frames)
    assert [(region.first_frame, region.end_frame) for region in span.regions] == ([(first, last)] if last else [])
    assert (span.mask().shape, int(span.mask().sum())) == ((frames,), mask)
    assert span.empty == (first == last)
    if not span.empty:
        assert span.mask()[first:last].all()


def test_without_a_range_everything_is_made_from_the_whole_source() -> None:
    span = no_range(TEN + 1, SOUND)
    assert (span.empty, span.front, span.samples, span.frames) == (True, 0, TEN + 1, 251)
    assert span.mask().all()


def test_seconds_become_the_nearest_samples() -> None:
    span = span_of(TEN, [(2.3, 4.6)], SOUND)  # 2.3 * 48000 is 110399.99999999999
    assert span.stretches == [(110400, 220800)]


def test_silence_is_put_around_the_source_and_completes_its_last_frame() -> None:
    source = np.ones((2, TEN + 100), np.float32)
    span = span_of(source.shape[1], [(-3, 14)], SOUND)
    extended = span.extend(source, SOUND)
    assert (span.front, span.stretches, span.samples) == (144000, [(0, 17 * 48000)], 17 * 48000)
    np.testing.assert_array_equal(extended[:, 144000 : 144000 + TEN + 100], source)
    assert extended.shape == (2, span.frames * 1920)
    assert float(extended.sum()) == source.size
    rest = span_of(source.shape[1], [(2, None)], SOUND)
    assert (rest.samples, rest.frames, rest.mask()[-1], rest.stretches[0][1]) == (TEN + 100, 251, True, TEN + 100)
    assert rest.extend(source, SOUND).shape == (2, 251 * 1920)
    whole = np.ones((2, TEN), np.float32)
    assert span_of(TEN, [(2, 5)], SOUND).extend(whole, SOUND) is whole


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [(-591, 5, "repainting_start"), (0, 600.5, "repainting_end"), (-300, 301, "repainting_start")],
)
def test_a_source_is_not_extended_without_end(start: float, end: float, field: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^{field} must extend the source of 10\.0 s to at most 600 s"):
        span_of(TEN, [(start, end)], SOUND)


@pytest.fixture(scope="module")
def pair() -> tuple[Audio, Audio]:
    draw = np.random.default_rng(0).uniform(-1, 1, (2, 2, 5000)).astype(np.float32)
    return draw[0], draw[1]


@pytest.mark.parametrize("ramp", [0, 1, 240, 10000])
@pytest.mark.parametrize(
    ("start", "end"), [(1000, 2000), (0, 700), (4200, 5000), (0, 5000), (100, 101), (0, 0), (9, 9)]
)
def test_outside_the_range_and_its_ramps_the_source_returns_bit_for_bit(
    pair: tuple[Audio, Audio], start: int, end: int, ramp: int
) -> None:
    source, generated = pair
    before = source.copy()
    joined = splice(source, generated, [(start, end)], ramp)
    assert (joined.dtype, joined.shape) == (np.float32, source.shape)
    assert source.tobytes() == before.tobytes()
    used = ramp if end > start else 0
    first, last = max(0, start - used), min(5000, end + used)
    assert joined[:, :first].tobytes() == source[:, :first].tobytes()
    assert joined[:, last:].tobytes() == source[:, last:].tobytes()
    assert joined[:, start:end].tobytes() == generated[:, start:end].tobytes()


def test_ramps_are_lines_of_inner_points() -> None:
    joined = splice(np.zeros((1, 20), np.float32), np.ones((1, 20), np.float32), [(8, 11)], 3)
    np.testing.assert_allclose(joined[0, 4:15], [0, 0.25, 0.5, 0.75, 1, 1, 1, 0.75, 0.5, 0.25, 0], atol=1e-7)
    at_the_edge = splice(np.zeros((1, 20), np.float32), np.ones((1, 20), np.float32), [(2, 19)], 3)
    np.testing.assert_allclose(at_the_edge[0, :3], [1 / 3, 2 / 3, 1], atol=1e-7)
    np.testing.assert_allclose(at_the_edge[0, 18:], [1, 0.5], atol=1e-7)


def test_generated_audio_may_be_longer_or_end_inside_a_ramp(pair: tuple[Audio, Audio]) -> None:
    source, generated = pair
    longer = np.concatenate([generated, generated], axis=1)
    assert (
        splice(source, longer, [(1000, 5000)], 50).tobytes() == splice(source, generated, [(1000, 5000)], 50).tobytes()
    )
    joined = splice(source, generated[:, :2010], [(1000, 2000)], 50)
    assert joined[:, 2010:].tobytes() == source[:, 2010:].tobytes()
    for start, end, ramp in ((1000, 2011, 0), (-1, 5, 0), (6, 5, 0), (1, 5, -1)):
        with pytest.raises(ValueError, match=f"no range {start}..{end} with ramps of {ramp}"):
            splice(source, generated[:, :2010], [(start, end)], ramp)


def test_the_level_is_taken_from_what_surrounds_the_range(pair: tuple[Audio, Audio]) -> None:
    music = pair[0] * np.float32(0.5)
    softer = music * np.float32(0.8)
    softer[:, 2000:3000] *= np.float32(0.1)  # what is new has a loudness of its own
    matched = matched_level(music, softer, [(2000, 3000)], 100)
    np.testing.assert_allclose(matched, softer / np.float32(0.8), rtol=1e-5)
    assert matched_level(music, music, [(0, 5000)], 100) is music  # nothing around it
    assert matched_level(music, np.zeros_like(music), [(20, 30)], 100).max() == 0
    far = matched_level(music, music * np.float32(0.01), [(2000, 3000)], 100)
    assert peak(far) == pytest.approx(peak(music) * 0.01 * 10 ** (3 / 20), rel=1e-5)


def test_levelling_first_keeps_the_promise(pair: tuple[Audio, Audio]) -> None:
    source, generated = pair[0], np.float32(3) * pair[0]
    ready = within_full_scale(matched_level(source, generated, [(1000, 4000)], 1000))
    joined = splice(source, ready, [(1000, 4000)], 240)
    assert peak(joined) <= 1.0
    assert joined[:, :760].tobytes() == source[:, :760].tobytes()
    assert joined[:, 4240:].tobytes() == source[:, 4240:].tobytes()


def test_full_scale_is_a_limit_and_no_target() -> None:
    soft, loud = np.full((2, 4), 0.5, np.float32), np.full((2, 4), -2.0, np.float32)
    assert within_full_scale(soft) is soft
    np.testing.assert_array_equal(within_full_scale(loud), np.full((2, 4), -1.0, np.float32))
    assert peak(level(soft, -6.0)) == pytest.approx(10 ** (-6 / 20), rel=1e-5)


def test_fades_are_lines_and_leave_the_middle_alone() -> None:
    audio = np.ones((2, 1000), np.float32)
    faded = fade(audio, 100, 1.0, 2.0)
    np.testing.assert_allclose(faded[:, :100], np.tile(np.linspace(0, 1, 100), (2, 1)), atol=1e-6)
    np.testing.assert_allclose(faded[:, 800:], np.tile(np.linspace(1, 0, 200), (2, 1)), atol=1e-6)
    assert (faded[:, 100:800] == 1).all()
    assert (audio == 1).all()
    assert fade(audio, 100, 0, 0) is audio
    assert fade(audio, 100, 99, 0)[0, [0, -1]].tolist() == [0.0, 1.0]  # at most the whole length
