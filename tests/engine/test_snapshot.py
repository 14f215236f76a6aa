"""Whatever valid request is stored comes back the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.edits import Complete, Cover, Extract, Lego, Repaint, RepaintMode
from studio.engine.requests import KEY_SCALES, LANGUAGES, Metas, Output, Request, TextToMusic, Track
from studio.engine.sampling import Guidance, Method, Retake, Sampling, Solver, WaveletCorrection, WaveletMode
from studio.engine.snapshot import request_from, settings_of
from studio.errors import InvalidRequest

SHARES = st.floats(0, 1)
WORDS = st.text(min_size=1, max_size=60).filter(str.strip)
PATHS = st.builds(Path, st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}\.wav", fullmatch=True))
METAS = st.builds(
    Metas,
    bpm=st.none() | st.integers(30, 300),
    key_scale=st.none() | st.sampled_from(KEY_SCALES),
    time_signature=st.none() | st.sampled_from(["2", "3", "4", "6"]),
)
LEVELS = st.lists(st.floats(0.01, 1), min_size=1, max_size=20).map(lambda levels: tuple(sorted(levels, reverse=True)))
GUIDANCE = st.tuples(SHARES, SHARES).flatmap(
    lambda ends: st.builds(
        Guidance,
        scale=st.none() | st.floats(1, 15),
        adg=st.booleans(),
        start=st.just(min(ends)),
        end=st.just(max(ends)),
    )
)
OUTPUT = st.builds(
    Output,
    normalize=st.booleans(),
    peak=st.floats(-10, 0),
    fade_in=st.floats(0, 60),
    latent_shift=st.floats(-0.2, 0.2),
    latent_rescale=st.floats(0.5, 1.5),
)


def sampling(takes: int) -> st.SearchStrategy[Sampling]:
    seeds = st.lists(st.integers(0, 2**32 - 1), min_size=takes, max_size=takes).map(tuple)
    return st.builds(
        Sampling,
        steps=st.none() | st.integers(1, 200),
        shift=st.none() | st.floats(1, 5),
        timesteps=st.none() | LEVELS,
        trained_only=st.booleans(),
        method=st.sampled_from(Method),
        solver=st.just(Solver.EULER),
        velocity_limit=st.floats(0, 10),
        velocity_smoothing=st.floats(0, 0.9),
        wavelet=st.none() | st.builds(WaveletCorrection, mode=st.sampled_from(WaveletMode), strength=SHARES),
        retake=st.none() | st.builds(Retake, seeds=seeds, variance=SHARES),
    )


@st.composite
def any_request(draw: st.DrawFn) -> Request:
    takes = draw(st.integers(1, 8))
    shared = {
        "caption": draw(WORDS),
        "lyrics": draw(st.text(max_size=80)),
        "instrumental": draw(st.booleans()),
        "vocal_language": draw(st.sampled_from(LANGUAGES)),
        "metas": draw(METAS),
        "sampling": draw(sampling(takes)),
        "guidance": draw(GUIDANCE),
        "output": draw(OUTPUT),
        "reference": draw(st.none() | PATHS),
        "seeds": tuple(draw(st.lists(st.integers(0, 2**32 - 1), min_size=takes, max_size=takes))),
    }
    source, start = draw(PATHS), draw(st.floats(-20, 20))
    span = {"start": start, "end": draw(st.none() | st.floats(max(0.0, start) + 0.1, 100))}
    track = draw(st.sampled_from(Track))
    requests = [
        TextToMusic(**shared, duration=draw(st.none() | st.floats(10, 600)), cover_strength=draw(SHARES)),
        TextToMusic(**shared, audio_codes=tuple(draw(st.lists(st.integers(0, 63999), max_size=9)))),
        Cover(**shared, source=source, strength=draw(SHARES), quantized=draw(st.none() | st.booleans())),
        Repaint(**shared, source=source, **span, mode=draw(st.sampled_from(RepaintMode))),
        Lego(**shared, source=source, track=track, **span),
        Extract(**shared, source=source, track=track),
        Complete(**shared, source=source, tracks=(track,)),
    ]
    return draw(st.sampled_from(requests))


@given(any_request())
def test_a_request_survives_its_snapshot(request: Request) -> None:
    assert request_from(json.loads(json.dumps(settings_of(request)))) == request


def test_an_older_snapshot_takes_todays_defaults() -> None:
    request = request_from({"task_type": "text2music", "caption": "x", "seeds": [1]})
    assert request == TextToMusic(caption="x", seeds=(1,))


@pytest.mark.parametrize(
    ("key", "value"),
    [("task_type", "remix"), ("bpm", "fast"), ("seeds", [1.5]), ("infer_method", "magic"), ("timesteps", ["a"])],
)
def test_a_damaged_snapshot_names_the_key(key: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=key):
        request_from({"caption": "x", "seeds": [1], key: value})
