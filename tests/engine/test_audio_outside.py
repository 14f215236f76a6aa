"""What a repaint kept, measured on samples."""

from __future__ import annotations

import numpy as np

from studio.engine.audio.likeness import Verdict
from studio.engine.audio.outside import outside
from studio.engine.audio.shape import Audio
from studio.engine.audio.span import span_of
from studio.engine.model_spec import Sound, VaeClass

SOUND = Sound(vae_class=VaeClass.SPECTRAL, sample_rate=1000, hop_length=40, channels=2, latent_channels=8)
RAMP = 50


def noise(samples: int, seed: int = 1) -> Audio:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (2, samples)).astype(np.float32)


def test_a_change_inside_the_range_and_its_ramps_is_no_change_outside() -> None:
    source = noise(10_000)
    span = span_of(source.shape[1], [(3.0, 5.0)], SOUND)
    result = source.copy()
    result[:, 2950:5050] = 0
    found = outside(source, result, span, RAMP)
    assert found is not None and found.verdict is Verdict.IDENTICAL


def test_one_sample_outside_is_told_and_measured() -> None:
    source = noise(10_000)
    span = span_of(source.shape[1], [(3.0, 5.0)], SOUND)
    result = source.copy()
    result[0, 2949] += 0.1
    found = outside(source, result, span, RAMP)
    assert found is not None and found.verdict is Verdict.NEAR
    assert found.snr is not None and 40 < found.snr < 60


def test_what_was_added_before_and_behind_is_not_compared() -> None:
    source = noise(4_000)
    span = span_of(source.shape[1], [(-2.0, 1.0)], SOUND)
    result = np.concatenate([noise(2_000, 2), source], axis=1)
    result[:, 2000:3000] = 0
    found = outside(source, result, span, RAMP)
    assert found is not None and found.verdict is Verdict.IDENTICAL
    behind = span_of(source.shape[1], [(3.0, 6.0)], SOUND)
    found = outside(source, np.concatenate([source, noise(2_000, 3)], axis=1), behind, RAMP)
    assert found is not None and found.verdict is Verdict.IDENTICAL


def test_a_range_over_everything_leaves_nothing_to_compare_and_a_wrong_length_is_different() -> None:
    source = noise(4_000)
    assert outside(source, noise(4_000, 2), span_of(4_000, [(0.0, None)], SOUND), RAMP) is None
    found = outside(source, noise(3_999), span_of(4_000, [(1.0, 2.0)], SOUND), RAMP)
    assert found is not None and found.verdict is Verdict.DIFFERENT
