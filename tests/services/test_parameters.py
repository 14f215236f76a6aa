"""A saved JSON fills the form again; what the form can hold survives snapshot and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.engine.requests import KEY_SCALES, LANGUAGES, MAX_BATCH, TIME_SIGNATURES
from studio.engine.sampling import MAX_SEED
from studio.engine.snapshot import settings_of
from studio.engine.thinking import thinking_settings
from studio.errors import InvalidRequest
from studio.services.forms import DEFAULTS, build_request, build_thinking, complete_form
from studio.services.parameters import Parameters, form_from
from studio.services.uploads import Uploads
from studio.storage.artifacts import ArtifactStore
from studio.ui.fields import FIELDS

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)


def between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda value: round(value, 4))


CODES = st.lists(st.integers(0, 63999), max_size=6).map(lambda codes: "".join(f"<|audio_code_{n}|>" for n in codes))
LEVELS = st.lists(between(0.01, 1), min_size=1, max_size=9).map(lambda some: sorted(some, reverse=True))
FORMS = st.fixed_dictionaries(
    {
        "caption": WORDS.map(lambda text: f"music {text}"),
        "lyrics": WORDS,
        "instrumental": st.booleans(),
        "vocal_language": st.sampled_from(LANGUAGES),
        "bpm": st.none() | st.integers(30, 300),
        "keyscale": st.just("") | st.sampled_from(KEY_SCALES),
        "timesignature": st.just("") | st.sampled_from(TIME_SIGNATURES),
        "duration": st.just(-1.0) | between(10, 600),
        "inference_steps": st.integers(1, 200),
        "shift": between(1, 5),
        "seed": st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=MAX_BATCH),
        "guidance_scale": between(1, 15),
        "use_adg": st.booleans(),
        "cfg_interval": st.tuples(between(0, 1), between(0, 1)).map(sorted),
        "infer_method": st.sampled_from(("ode", "sde")),
        "timesteps": st.just([]) | LEVELS,
        "enable_normalization": st.booleans(),
        "normalization_db": between(-10, 0),
        "latent_shift": between(-0.2, 0.2),
        "latent_rescale": between(0.5, 1.5),
        "audio_codes": CODES,
        "audio_cover_strength": between(0, 1),
        "thinking": st.booleans(),
        "use_cot_metas": st.booleans(),
        "use_cot_caption": st.booleans(),
        "use_cot_language": st.booleans(),
        "lm_temperature": between(0, 2),
        "lm_cfg_scale": between(1, 3),
        "lm_top_k": st.integers(0, 100),
        "lm_top_p": between(0, 1),
        "lm_negative_prompt": WORDS,
        "lm_batch_chunk_size": st.integers(1, 32),
        "allow_lm_batch": st.booleans(),
        "constrained_decoding_debug": st.booleans(),
        "auto_score": st.booleans(),
        "auto_lrc": st.booleans(),
        "score_scale": between(0.01, 1),
        "autogen": st.booleans(),
    }
)


def snapshot(form: dict[str, object]) -> dict[str, object]:
    """What is kept of a form beside its takes."""
    whole = complete_form(form)
    kept = {name: whole[name] for name in ("audio_format", "auto_score", "auto_lrc", "score_scale", "autogen")}
    return {**settings_of(build_request(whole)), **thinking_settings(build_thinking(whole)), **kept}


@settings(max_examples=100, deadline=None)
@given(FORMS, st.sampled_from(("mp3", "flac", "wav")))
def test_a_form_survives_snapshot_json_and_widgets(drawn: dict[str, object], kind: str) -> None:
    seeds, levels, interval = drawn.pop("seed"), drawn.pop("timesteps"), drawn.pop("cfg_interval")
    form = {
        **drawn,
        "audio_format": kind,
        "seed": ", ".join(map(str, seeds)),
        "use_random_seed": False,
        "batch_size": len(seeds),
        "timesteps": ", ".join(map(str, levels)),
        "cfg_interval_start": interval[0],
        "cfg_interval_end": interval[1],
        "formatted": True,
        # Loading switches Think off where codes are given, so that they count (product.md 2.4).
        "thinking": drawn["thinking"] and not drawn["audio_codes"],
    }
    first = snapshot(form)
    again = form_from(json.loads(json.dumps(first)))
    held = {name: FIELDS[name].fit(value) for name, value in again.items() if name in FIELDS}
    assert snapshot(held) == first
    assert {name: held[name] for name in form if name != "timesteps"} == {
        name: value for name, value in form.items() if name != "timesteps"
    }


def test_every_key_of_a_form_is_read_or_takes_its_default() -> None:
    form = form_from({})
    assert set(form) == set(DEFAULTS)
    assert {name for name in form if form[name] != DEFAULTS[name]} == {"use_random_seed", "formatted"}


def test_what_older_files_write_is_understood() -> None:
    form = form_from(
        {"bpm": "N/A", "duration": "N/A", "timesteps": [0.9, 0.5, 0], "seed": 7, "keyscale": None, "thinking": True}
    )
    assert (form["bpm"], form["duration"], form["keyscale"]) == (None, -1.0, "")
    assert (form["timesteps"], form["seed"], form["use_random_seed"]) == ("0.9, 0.5, 0.0", "7", False)
    assert form_from({"bpm": "120"})["bpm"] == 120
    assert form_from({"thinking": True, "audio_codes": [1, 2]})["thinking"] is False


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(content: bytes, tmp_path: Path) -> None:
    uploads = Uploads(ArtifactStore(tmp_path), user_id="me")
    with pytest.raises(InvalidRequest) as caught:
        Parameters(uploads).read(content)
    assert caught.value.field == "parameters"


def test_a_reference_that_is_gone_is_named(tmp_path: Path) -> None:
    uploads = Uploads(ArtifactStore(tmp_path), user_id="me")
    kept = tmp_path / "uploads" / "me" / "here.wav"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"sound")
    read = Parameters(uploads).read
    form, missing = read(json.dumps({"reference_audio": str(kept)}).encode())
    assert (form["reference_audio"], missing) == ("uploads/me/here.wav", [])
    form, missing = read(b'{"reference_audio": "/elsewhere/gone.wav"}')
    assert (form["reference_audio"], missing) == ("", ["reference_audio: gone.wav"])
